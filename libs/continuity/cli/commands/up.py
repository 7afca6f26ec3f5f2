"""``continuity up``."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass
from functools import partial

from continuity.cli.ending import is_held
from continuity.cli.engine import require_engine
from continuity.cli.exits import ExitCode
from continuity.cli.home import require_home
from continuity.cli.runtime import RuntimeRecord, gives_way, join, require_runtime
from continuity.cli.session import AsJson, Session, execute
from continuity.cli.starting import MISCONFIGURED, POLL_S, RUNTIME_COMMAND, check_settings
from continuity.kernel.errors import Late, WrongState

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HELD_LIMIT_S = 60.0
_ENDED = {0: ExitCode.OK, MISCONFIGURED: ExitCode.INVALID}


@dataclass(eq=False)
class RuntimeAlreadyRuns(WrongState):
    """There is one runtime for each home, and it is in use or another terminal's."""

    template = (
        "a runtime is already running at {address} (process {pid}), in use or kept by another {command} up; "
        "{command} down ends it, and what is unfinished goes on with the next"
    )
    address: str
    pid: int
    command: str


@dataclass(eq=False)
class HomeHeld(Late):
    """A runtime neither serves nor ends."""

    template = "a runtime that does not answer holds {home}; {command} down --now kills it"
    home: str
    command: str


def up(as_json: AsJson = False) -> None:
    """Run the services in the foreground until Ctrl-C or ``continuity down``; calls in flight are finished.

    An idle runtime that another command has started is ended, and this one takes its place.
    """

    async def work(session: Session) -> ExitCode:
        require_runtime()
        require_home(session.settings)
        await _take_place(session)
        await require_engine(session.output.note, partial(check_settings, session.settings))
        return await _run(session)

    execute(work, as_json=as_json)


async def _take_place(session: Session) -> None:
    """Return once no runtime holds the home. Raises ``RuntimeAlreadyRuns`` and ``HomeHeld``."""
    settings = session.settings
    try:
        async with asyncio.timeout(HELD_LIMIT_S):
            await _end_idle(session)
            if is_held(settings.home):
                session.output.note("another runtime is on its way in or out; waiting for it")
            while is_held(settings.home):
                await asyncio.sleep(POLL_S)
                await _end_idle(session)
    except TimeoutError:
        raise HomeHeld(str(settings.home), settings.command) from None


async def _end_idle(session: Session) -> None:
    """End the runtime that serves, if any. Raises ``RuntimeAlreadyRuns``."""
    hold = await join(session.settings.home)
    if hold is None:
        return
    kept = await gives_way(session.settings, hold)
    if kept is not None:
        await kept.release()
        raise RuntimeAlreadyRuns(kept.record.address, kept.record.pid, session.settings.command)
    session.output.note("the running runtime had nothing to do and is ended; this one takes its place")


async def _run(session: Session) -> ExitCode:
    # In a process group of its own: Ctrl-C comes to us, and the runtime hears of it once.
    child = await asyncio.create_subprocess_exec(
        *RUNTIME_COMMAND,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr,
        env=session.settings.child_environment(),
        process_group=0,
    )
    loop = asyncio.get_running_loop()
    for number in _FORWARDED:
        loop.add_signal_handler(number, _forward, child, number)
    announcing = asyncio.create_task(_announce(session, child))
    code = await child.wait()
    announcing.cancel()
    return _ENDED.get(code, ExitCode.UNAVAILABLE)


async def _announce(session: Session, child: Process) -> None:
    while (record := await _record(session)) is None or record.pid != child.pid:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    document = {**record.model_dump(mode="json", exclude={"settings"}), "home": str(session.settings.home)}
    session.output.show(document, f"serving at {record.address}; Ctrl-C ends it")
    sys.stdout.flush()


async def _record(session: Session) -> RuntimeRecord | None:
    hold = await join(session.settings.home)
    if hold is None:
        return None
    await hold.release()
    return hold.record


def _forward(child: Process, number: int) -> None:
    if child.returncode is None:
        os.kill(child.pid, number)
