"""The command line's entry."""

from typing import Annotated

import typer

from continuity import __version__
from continuity.cli.commands import characters, demo, doctor, jobs, locations, render, up
from continuity.cli.exits import HELP

app = typer.Typer(
    name="continuity",
    help=f"Photographs and shot lists become film keyframes that keep continuity.\n\n{HELP}",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(characters.app)
app.add_typer(locations.app)
app.add_typer(jobs.app)
app.command("render")(render.render)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("doctor")(doctor.doctor)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"continuity {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command that the arguments name; ends the process with an exit code of ``ExitCode``."""
    app(prog_name="continuity")


if __name__ == "__main__":
    main()
