"""What every command runs in: settings, output, a connection when asked for, and one way to end with an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeAlias

import typer
from pydantic import ValidationError

from continuity import __version__
from continuity.cli.exits import ExitCode, exit_code
from continuity.cli.failures import failure
from continuity.cli.output import Output
from continuity.cli.runtime import join_or_start
from continuity.cli.settings import Settings
from continuity.client import CallFailed, ContinuityClient
from continuity.kernel.errors import ContinuityError
from continuity.kernel.variables import mistyped
from continuity.telemetry.names import COMMAND
from continuity.telemetry.setup import set_up_telemetry
from continuity.telemetry.tracing import span

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]


class Session:
    """One command's settings and output."""

    def __init__(self, settings: Settings, output: Output) -> None:
        self.settings = settings
        self.output = output

    @asynccontextmanager
    async def connected(self, *, draws: bool = False) -> AsyncIterator[ContinuityClient]:
        """Connect to ``CONTINUITY_ADDRESS``, else to the embedded runtime, which stays for as long as this is open.

        ``draws`` says that pictures will be wanted: only then is what draws started ahead.
        """
        if self.settings.address:
            async with ContinuityClient(self.settings.address, self.settings.project) as client:
                yield client
            return
        hold = await join_or_start(self.settings, self.output.note, draws=draws)
        try:
            async with ContinuityClient(hold.record.address, self.settings.project) as client:
                yield client
        finally:
            await hold.release()


Work: TypeAlias = Callable[[Session], Awaitable[ExitCode | None]]


def execute(work: Work, *, as_json: bool) -> None:
    """Run a command's work and end with its exit code; errors become lines on standard error."""
    output = Output(as_json=as_json)
    try:
        code = asyncio.run(_in_session(work, output)) or ExitCode.OK
    except BrokenPipeError:
        raise
    except (CallFailed, ContinuityError, OSError, ValidationError) as error:
        output.fail(failure(error))
        code = exit_code(error)
    raise typer.Exit(code)


async def _in_session(work: Work, output: Output) -> ExitCode | None:
    settings = Settings()
    output.command = settings.command
    for slip in mistyped():
        output.note(slip)
    telemetry = set_up_telemetry("cli", settings.otlp_endpoint, __version__)
    try:
        with span(COMMAND, work.__module__.rpartition(".")[2]):
            return await work(Session(settings, output))
    finally:
        await asyncio.to_thread(telemetry.shutdown)
