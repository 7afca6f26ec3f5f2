"""``continuity location``."""

from pathlib import Path
from typing import Annotated

import typer

from continuity.api.common.v1.shot_pb2 import LocationType, TimeOfDay, Weather
from continuity.api.locations.v1.location_pb2 import Location
from continuity.cli.choices import choice, value
from continuity.cli.documents import document
from continuity.cli.files import read_photo
from continuity.cli.output import facts, table
from continuity.cli.session import AsJson, Session, execute
from continuity.wire.conversion import word

app = typer.Typer(name="location", help="Places where scenes play.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the location.")]


@app.command()
def add(
    *,
    name: Annotated[str, typer.Argument(help="Name, unique in the project; one that exists is changed.")],
    type: Annotated[str, choice(LocationType.DESCRIPTOR, "--type", help="Inside or outside.")],
    description: Annotated[str, typer.Option(help="What is seen there.")],
    photo: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="Without one the set is drawn.")
    ] = None,
    time_of_day: Annotated[str, choice(TimeOfDay.DESCRIPTOR, help="Holds where a shot does not say.")] = "",
    weather: Annotated[str, choice(Weather.DESCRIPTOR, help="Holds where a shot does not say.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a location, or change the one that has this name."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            saved = await client.locations.save(
                name,
                value(LocationType, type),
                description=description,
                time_of_day=value(TimeOfDay, time_of_day),
                weather=value(Weather, weather),
                photo=read_photo(photo) if photo else b"",
            )
        _show(session, saved)

    execute(work, as_json=as_json)


@app.command("list")
def list_locations(as_json: AsJson = False) -> None:
    """List the locations of the project."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            locations = [location async for location in client.locations.list()]
        rows = [
            (each.name, word(LocationType.DESCRIPTOR, each.type), _set(each), each.id)
            for each in sorted(locations, key=lambda each: each.name.casefold())
        ]
        shown = table(("name", "type", "set", "id"), rows) if rows else "no locations yet"
        session.output.show({"locations": [document(each) for each in locations]}, shown)

    execute(work, as_json=as_json)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what is known of a location."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            _show(session, await client.locations.get(name))

    execute(work, as_json=as_json)


@app.command()
def delete(name: Name, as_json: AsJson = False) -> None:
    """Delete a location; jobs that play there already go on."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            await client.locations.delete(name)
        session.output.show({"deleted": name}, f"deleted {name}")

    execute(work, as_json=as_json)


def _show(session: Session, location: Location) -> None:
    described = {
        "name": location.name,
        "id": location.id,
        "type": word(LocationType.DESCRIPTOR, location.type),
        "description": location.description,
        "time of day": word(TimeOfDay.DESCRIPTOR, location.time_of_day),
        "weather": word(Weather.DESCRIPTOR, location.weather),
        "set": _set(location),
    }
    session.output.show(document(location), facts(described))


def _set(location: Location) -> str:
    return "photograph" if location.HasField("picture") else "drawn"
