"""``continuity render``."""

import re
from pathlib import Path
from typing import Annotated

import typer

from continuity.cli.durations import seconds
from continuity.cli.exits import ExitCode
from continuity.cli.film.render import Order, render_film
from continuity.cli.film.submission import Overrides
from continuity.cli.session import AsJson, Session, execute
from continuity.client.shotlist import RenderOptions
from continuity.client.shotlist.schema import properties
from continuity.client.shotlist.size import SIDES, Size, size_of

MAX_SEED = 4_294_967_295
MAX_STEPS, MAX_IMAGES = (properties("render")[name]["maximum"] for name in ("steps", "images"))


def _model_name(given: str) -> str:
    """Return the name if a shot list could have it as a checkpoint."""
    known = properties("render")["checkpoint"]
    if given and (len(given) > known["maxLength"] or not re.fullmatch(known["pattern"], given)):
        raise typer.BadParameter(f"{given!r} does not fit: {known['description']}")
    return given


def _size(written: str) -> Size:
    wanted = size_of(written.strip())
    if wanted is None:
        raise typer.BadParameter(f"{written!r} is no size such as 1344x768; {SIDES}")
    return wanted


def render(
    *,
    shot_list: Annotated[
        Path, typer.Argument(metavar="SHOTLIST", exists=True, dir_okay=False, help="YAML, JSON, CSV.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for keyframes, contact sheet and manifest.")],
    style: Annotated[str | None, typer.Option(help="Style of every shot, whatever the list says.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Seed of the film.")] = None,
    size: Annotated[
        Size | None, typer.Option(parser=_size, metavar="WIDTHxHEIGHT", help="Size of every picture in pixels.")
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(callback=_model_name, metavar="NAME", help="Model of every shot, for SDXL.")
    ] = "",
    steps: Annotated[int | None, typer.Option(min=1, max=MAX_STEPS, help="Steps of every shot, for SDXL.")] = None,
    images: Annotated[int | None, typer.Option(min=1, max=MAX_IMAGES, help="Takes of every shot, for SDXL.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=100, help="Higher goes first.")] = 0,
    within: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="TIME", help="Fail what is not done by then: 90s, 30m, 2h or 1d."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Render every shot anew, also those that succeeded.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Hand the shots in and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Render a shot list: one keyframe for each shot, a contact sheet and a manifest.

    The files are OUT/keyframes/SCENE-SHOT.png: the scene's id as the list has it, the shot's number with at least two
    digits, such as 1-01.png; other takes of the shot are 1-01-take2.png and so on.

    Characters and locations of the list are added, or changed to what the list says. The same list again gives the
    same jobs, the newest after --again, and so takes no time; only shots that failed or were cancelled are rendered
    anew. Keyframes of an earlier run whose shot has none now are put aside in OUT/earlier. Ctrl-C leaves the jobs
    running.
    """
    render = RenderOptions(checkpoint=checkpoint, steps=steps, images=images)
    overrides = Overrides(
        style=style, render=render, size=size, seed=seed, priority=priority, again=again, within_s=within
    )
    order = Order(shot_list, out, overrides, wait=not no_wait)

    async def work(session: Session) -> ExitCode:
        return await render_film(session, order)

    execute(work, as_json=as_json)
