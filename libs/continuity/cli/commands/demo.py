"""``continuity demo``."""

from pathlib import Path
from typing import Annotated

import typer

from continuity.cli.exits import ExitCode
from continuity.cli.files import CHECKOUT
from continuity.cli.film.render import Order, render_film
from continuity.cli.session import AsJson, Session, execute
from continuity.kernel.errors import Absent

FILM = CHECKOUT / "examples" / "film" / "shotlist.yaml"
NEXT = """
next:
  {command} character list
  {command} jobs list
  {command} render {film} --out out/noir --style noir
  {command} character add NAME PHOTO
"""


class ExampleMissing(Absent):
    """The example film is not part of this installation."""

    template = "the example film comes with the repository, not with this installation"


def demo(
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the film.")] = Path("out/demo"),
    as_json: AsJson = False,
) -> None:
    """Render the example film."""

    async def work(session: Session) -> ExitCode:
        if not FILM.is_file():
            raise ExampleMissing
        session.output.note(f"rendering the example film, {FILM}")
        code = await render_film(session, Order(FILM, out))
        session.output.note(NEXT.format(command=session.settings.command, film=FILM).rstrip())
        return code

    execute(work, as_json=as_json)
