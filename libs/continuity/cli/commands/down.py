"""``continuity down``."""

import signal
from dataclasses import dataclass
from typing import Annotated

import typer

from continuity.cli.ending import runtime_process
from continuity.cli.runtime import read_record
from continuity.cli.session import AsJson, Session, execute
from continuity.kernel.errors import Absent, InvalidValue, Late

DRAIN_LIMIT_S, KILL_LIMIT_S = 60.0, 10.0


@dataclass(eq=False)
class NoRuntimeRuns(Absent):
    """There is nothing to end."""

    template = "no runtime is running on {home}"
    home: str


@dataclass(eq=False)
class RuntimeStays(Late):
    """The runtime has not ended in time."""

    template = "the runtime (process {pid}) has not ended within {limit_s:g} s; {command} down --now kills it"
    pid: int
    limit_s: float
    command: str


def down(
    now: Annotated[
        bool, typer.Option("--now", help="Kill it: for one that hangs. What was accepted survives that, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End the runtime of this home and wait until it has ended.

    Calls in flight have ten seconds to finish. Shots that are not done go back to the queue, and the next runtime goes
    on with them.
    """

    async def work(session: Session) -> None:
        ended = await _end(session, now=now)
        how = "killed" if now else "ended"
        document = {"home": str(session.settings.home), "pid": ended, "killed": now}
        session.output.show(document, f"{how} the runtime (process {ended}); what is unfinished goes on with the next")

    execute(work, as_json=as_json)


async def _end(session: Session, *, now: bool) -> int:
    settings = session.settings
    if settings.address:
        limit = "down ends the runtime of CONTINUITY_HOME; services elsewhere are not this command's"
        raise InvalidValue(field="CONTINUITY_ADDRESS", value=settings.address, limit=limit)
    record = read_record(settings.home)
    with runtime_process(record.pid if record else 0, settings.home) as process:
        if record is None or process is None:
            raise NoRuntimeRuns(str(settings.home))
        process.send(signal.SIGKILL if now else signal.SIGTERM)
        limit_s = KILL_LIMIT_S if now else DRAIN_LIMIT_S
        if not await process.ended(limit_s):
            raise RuntimeStays(record.pid, limit_s, settings.command)
    return record.pid
