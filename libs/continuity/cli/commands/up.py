"""``continuity up``."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass
from functools import partial

from continuity.cli.engine import require_engine
from continuity.cli.exits import ExitCode
from continuity.cli.home import require_home
from continuity.cli.runtime import RuntimeRecord, join, require_runtime
from continuity.cli.session import AsJson, Session, execute
from continuity.cli.starting import MISCONFIGURED, POLL_S, RUNTIME_COMMAND, check_settings
from continuity.kernel.errors import WrongState

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED = {0: ExitCode.OK, MISCONFIGURED: ExitCode.INVALID}


@dataclass(eq=False)
class RuntimeAlreadyRuns(WrongState):
    """There is one runtime for each home."""

    template = "a runtime is already running at {address} (process {pid})"
    address: str
    pid: int


def up(as_json: AsJson = False) -> None:
    """Run the services in the foreground until Ctrl-C or ``continuity down``; calls in flight are finished."""

    async def work(session: Session) -> ExitCode:
        require_runtime()
        require_home(session.settings)
        running = await _record(session)
        if running:
            raise RuntimeAlreadyRuns(running.address, running.pid)
        await require_engine(session.output.note, partial(check_settings, session.settings))
        return await _run(session)

    execute(work, as_json=as_json)


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
