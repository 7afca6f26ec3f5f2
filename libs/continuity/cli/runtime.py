"""The embedded runtime: found where it runs, started where it does not, and held for as long as a command needs it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from pydantic import BaseModel, ValidationError

from continuity import __version__
from continuity.cli.engine import PREVIZ, RendererSettings, require_engine
from continuity.cli.home import require_home
from continuity.cli.settings import Settings
from continuity.kernel.errors import Unavailable
from continuity.rpc.channel import open_channel

MODULE = "services.embedded"
RUNTIME_COMMAND = (sys.executable, "-P", "-m", MODULE)
"""Without the folder that the user happens to be in on the import path."""
START_TIMEOUT_S = 60.0
ATTACH_TIMEOUT_S = 3.0
POLL_S = 0.1
RESPAWN_S = 3.0
MAX_LOG_BYTES = 5_000_000
TAIL_LINES = 15


@dataclass(eq=False)
class RuntimeDidNotStart(Unavailable):
    """The embedded runtime ended or did not serve in time."""

    template = "the runtime did not start: {cause}\n{log_tail}the whole log: {log_file}"
    cause: str
    log_tail: str
    log_file: Path


@dataclass(eq=False)
class NoRuntimeHere(Unavailable):
    """The services are not part of this installation."""

    template = "this installation has no services of its own; set CONTINUITY_ADDRESS to where they run"


class RuntimeRecord(BaseModel, frozen=True):
    """What a runtime writes about itself into ``runtime.json``."""

    address: str
    pid: int
    version: str
    renderer: str = PREVIZ


class Hold:
    """An open watch on a runtime's health. While it is open, the runtime is not idle and stays."""

    def __init__(self, record: RuntimeRecord, channel: grpc.aio.Channel) -> None:
        self.record = record
        self._channel = channel
        self._watch = HealthStub(channel).Watch(HealthCheckRequest())  # type: ignore[attr-defined]  # not in the stubs

    async def serves(self) -> bool:
        """Tell whether the runtime answers, and answers that it serves."""
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_S):
                answer = await self._watch.read()
        except (grpc.aio.AioRpcError, TimeoutError):
            return False
        return isinstance(answer, HealthCheckResponse) and answer.status == HealthCheckResponse.SERVING

    async def release(self) -> None:
        """Let the runtime go."""
        self._watch.cancel()
        await self._channel.close()


def require_runtime() -> None:
    """Raise ``NoRuntimeHere`` where the services cannot be imported."""
    try:
        found = importlib.util.find_spec(MODULE)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise NoRuntimeHere


def read_record(home: Path) -> RuntimeRecord | None:
    """Return what the last runtime of this home wrote about itself, if its process is alive."""
    try:
        record = RuntimeRecord.model_validate_json((home / "runtime.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return record if _is_alive(record.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


async def join(home: Path) -> Hold | None:
    """Return a hold on the runtime of this home, None where none serves."""
    record = read_record(home)
    if record is None:
        return None
    hold = Hold(record, open_channel(record.address))
    if await hold.serves():
        return hold
    await hold.release()
    return None


async def join_or_start(settings: Settings, note: Callable[[str], None]) -> Hold:
    """Return a hold on the runtime of this home, starting it where none serves. Raises ``RuntimeDidNotStart``."""
    hold = await join(settings.home)
    if hold is None:
        require_runtime()
        require_home(settings)
        await require_engine(note)
        note(f"no runtime is running, starting one (it ends when idle; log: {settings.log_file})")
        hold = await _start(settings)
    if hold.record.version != __version__:
        note(f"the running runtime is version {hold.record.version}, this command is {__version__}")
    if hold.record.renderer != (asked := RendererSettings().renderer):
        note(f"the running runtime draws with {hold.record.renderer}; end it, and the next one draws with {asked}")
    return hold


async def _start(settings: Settings) -> Hold:
    runtime = _DetachedRuntime(settings)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while (hold := await join(settings.home)) is None:
                runtime.keep_starting()
                await asyncio.sleep(POLL_S)
            return hold
    except TimeoutError:
        raise runtime.did_not_start(f"it did not serve within {START_TIMEOUT_S:.0f} s") from None


class _DetachedRuntime:
    """A runtime in a session of its own: neither Ctrl-C nor the end of the command reaches it.

    A child that finds another runtime in this home ends with exit code 0. That one may be on its way in, so we wait
    for it, or on its way out, so we start again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        if settings.log_file.exists() and settings.log_file.stat().st_size > MAX_LOG_BYTES:
            settings.log_file.replace(settings.log_file.with_suffix(".log.1"))
        self._log_begin = settings.log_file.stat().st_size if settings.log_file.exists() else 0

    def keep_starting(self) -> None:
        """Start a child unless one is. Raises ``RuntimeDidNotStart`` or ``HomeUnusable`` where the last one failed."""
        ended = self._child.poll() if self._child else 0
        if ended:
            require_home(self._settings)  # on a disk that has filled up not even its log may say so
            raise self.did_not_start(f"it ended with exit code {ended}")
        if ended == 0 and time.monotonic() - self._started_at > RESPAWN_S:
            self._spawn()

    def did_not_start(self, cause: str) -> RuntimeDidNotStart:
        """Return the error with what the runtime has logged since."""
        log = self._settings.log_file.read_bytes()[self._log_begin :].decode(errors="replace")
        tail = "".join(f"{line}\n" for line in log.splitlines()[-TAIL_LINES:])
        return RuntimeDidNotStart(cause, tail, self._settings.log_file)

    def _spawn(self) -> None:
        with self._settings.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*RUNTIME_COMMAND, "--exit-when-idle"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._settings.child_environment(),
            )
        self._started_at = time.monotonic()
