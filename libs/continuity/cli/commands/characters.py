"""``continuity character``."""

from pathlib import Path
from typing import Annotated

import typer

from continuity.api.characters.v1.character_pb2 import Character, CharacterState, FigureSource
from continuity.api.characters.v1.character_service_pb2 import GetCharacterResponse
from continuity.cli.documents import document
from continuity.cli.files import read_photo
from continuity.cli.output import facts, table
from continuity.cli.session import AsJson, Session, execute
from continuity.wire.conversion import word

app = typer.Typer(name="character", help="Characters made from photographs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the character.")]


@app.command()
def add(
    *,
    name: Annotated[str, typer.Argument(help="Name, unique in the project.")],
    photo: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JPEG, PNG, WebP, TIFF or BMP.")],
    keep_background: Annotated[bool, typer.Option("--keep-background", help="Use the photograph as it is.")] = False,
    description: Annotated[str, typer.Option(help="What the photograph cannot tell.")] = "",
    height_m: Annotated[float, typer.Option(min=0, max=5, help="Body height in metres.", show_default="1.70")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Make a character from a photograph and wait until it can be cast."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            made = await client.characters.create(
                name,
                read_photo(photo),
                keep_background=keep_background,
                description=description,
                height_m=height_m,
            )
            session.output.note(f"{name}: the photograph is stored, analysing and cutting out")
            ready = await client.characters.until_ready(made.id)
            _show(session, await client.characters.find(ready.id))

    execute(work, as_json=as_json)


@app.command("list")
def list_characters(as_json: AsJson = False) -> None:
    """List the characters of the project."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            characters = [character async for character in client.characters.list()]
        rows = [
            (each.name, _state(each), f"{each.height_m:.2f} m", _figure(each), each.id)
            for each in sorted(characters, key=lambda each: each.name.casefold())
        ]
        shown = table(("name", "state", "height", "figure", "id"), rows) if rows else "no characters yet"
        session.output.show({"characters": [document(each) for each in characters]}, shown)

    execute(work, as_json=as_json)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what is known of a character."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            _show(session, await client.characters.find(name))

    execute(work, as_json=as_json)


@app.command()
def delete(name: Name, as_json: AsJson = False) -> None:
    """Delete a character; jobs that have it in their cast already go on."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            await client.characters.delete(name)
        session.output.show({"deleted": name}, f"deleted {name}")

    execute(work, as_json=as_json)


def _show(session: Session, found: GetCharacterResponse) -> None:
    character = found.character
    seen = character.analysis.observations
    clothing = ", ".join(f"{swatch.name} {swatch.share:.0%}" for swatch in seen.clothing)
    described = {
        "name": character.name,
        "id": character.id,
        "state": _state(character),
        "description": character.description,
        "height": f"{character.height_m:.2f} m",
        "picture": f"{character.picture_width_px}×{character.picture_height_px} px",
        "figure": _figure(character),
        "face": "found" if seen.HasField("face_box") else "absent",
        "hair": " ".join(filter(None, (seen.hair.name, seen.hair_length and f"({seen.hair_length})"))),
        "skin": seen.skin.name,
        "clothing": clothing,
        "framing": seen.framing,
        "analysis": character.analysis_failure.message or character.analysis.analyzer,
        "intake": ", ".join(character.intake_notes),
        "image": found.image_url,
    }
    session.output.show(document(character) | {"image_url": found.image_url or None}, facts(described))


def _state(character: Character) -> str:
    return word(CharacterState.DESCRIPTOR, character.state)


def _figure(character: Character) -> str:
    source = word(FigureSource.DESCRIPTOR, character.figure_source)
    why = character.matting_failure.message
    return f"{source} ({why})" if why else source
