"""The command line's entry."""

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from continuity import __version__
from continuity.cli.commands import (
    characters,
    dead_letters,
    demo,
    doctor,
    down,
    jobs,
    locations,
    models,
    render,
    up,
    verify,
)
from continuity.cli.exits import HELP
from continuity.cli.failures import wrong_usage
from continuity.cli.output import Output

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
app.add_typer(dead_letters.app)
app.add_typer(models.app)
app.command("render")(render.render)
app.command("verify")(verify.verify)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("down")(down.down)
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
    try:
        code = app(prog_name="continuity", standalone_mode=False)
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]  # all that the parser raises has it
        if "--json" in sys.argv:
            Output(as_json=True).show({"error": wrong_usage(error.format_message())})
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
