"""The embedded runtime: found where it runs, started where it does not, and held for as long as a command needs it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from pydantic import BaseModel, ValidationError

from continuity import __version__
from continuity.cli.brought import Setting, differences
from continuity.cli.ending import runtime_process
from continuity.cli.engine import PREVIZ, RendererSettings, require_engine
from continuity.cli.home import require_home
from continuity.cli.settings import Settings
from continuity.cli.starting import MODULE, check_settings, started
from continuity.kernel.errors import Unavailable
from continuity.rpc.channel import open_channel
from continuity.rpc.runtime import RuntimeCalls

ATTACH_TIMEOUT_S = 3.0
END_TIMEOUT_S = 30.0
Note = Callable[[str], None]


@dataclass(eq=False)
class NoRuntimeHere(Unavailable):
    """The services are not part of this installation."""

    template = "this installation has no services of its own; set CONTINUITY_ADDRESS to where they run"


class RuntimeRecord(BaseModel, frozen=True):
    """What a runtime writes about itself into ``runtime.json``; ``settings`` are those that a command may bring."""

    address: str
    pid: int
    version: str
    renderer: str = PREVIZ
    settings: dict[str, Setting] = {}


class Hold:
    """An open watch on a runtime's health. While it is open, the runtime is not idle and stays."""

    def __init__(self, record: RuntimeRecord, channel: grpc.aio.Channel) -> None:
        self.record = record
        self._channel = channel
        self._calls = RuntimeCalls(channel)
        self._watch = HealthStub(channel).Watch(HealthCheckRequest())  # type: ignore[attr-defined]  # not in the stubs

    async def serves(self) -> bool:
        """Tell whether the runtime answers, and answers that it serves."""
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_S):
                answer = await self._watch.read()
        except (grpc.aio.AioRpcError, TimeoutError):
            return False
        return isinstance(answer, HealthCheckResponse) and answer.status == HealthCheckResponse.SERVING

    async def starts_renderer(self) -> bool:
        """Have what draws started; false where that cannot be. Another version's runtime starts it by itself."""
        try:
            return await self._calls.start_renderer()
        except grpc.aio.AioRpcError:
            return True

    async def waits_with_renderer(self) -> bool:
        """Tell whether what draws is only started when it is needed, and has not been."""
        try:
            return not await self._calls.renderer_started()
        except grpc.aio.AioRpcError:
            return False

    async def lets_end(self) -> bool:
        """Let go, and have the runtime end where nobody else needs it; tell whether it does."""
        self._watch.cancel()
        try:
            return await self._calls.end_if_idle()
        except grpc.aio.AioRpcError:
            return False

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


async def join_or_start(settings: Settings, note: Note, *, draws: bool = False) -> Hold:
    """Return a hold on the runtime of this home, starting it where none serves or it was started otherwise.

    ``draws`` says that pictures will be wanted. Raises ``RuntimeDidNotStart``, ``SettingsInvalid``, ``HomeUnusable``
    and ``EngineNotInstalled``.
    """
    RendererSettings()  # a renderer that does not exist is refused here, whatever runs
    hold = await join(settings.home)
    if hold is not None and (otherwise := _otherwise(hold.record)):
        hold = await _unless_idle(settings, hold, otherwise, note)
    if draws and (hold is None or hold.record.renderer != PREVIZ):
        await require_engine(note, partial(_check, settings, hold))
    if hold is not None and draws and not await hold.starts_renderer():
        hold = await _unless_idle(settings, hold, "what draws was not installed when it was started", note)
    if hold is None:
        hold = await _anew(settings, note)
        _ = draws and await hold.starts_renderer()
    return hold


async def _check(settings: Settings, hold: Hold | None) -> None:
    """Look at the settings of a runtime that is to be started; one that runs has done so with its own."""
    if hold is None:
        require_runtime()
        await check_settings(settings)


async def _anew(settings: Settings, note: Note) -> Hold:
    require_runtime()
    require_home(settings)
    note(f"no runtime is running, starting one (it ends when idle; log: {settings.log_file})")
    return await started(settings, partial(join, settings.home))


def _otherwise(record: RuntimeRecord) -> str:
    """Return what this command would have otherwise than the runtime has it; empty where nothing."""
    version = [] if record.version == __version__ else [f"its version is {record.version}, ours {__version__}"]
    return "; ".join([*version, *differences(record.settings)])


async def _unless_idle(settings: Settings, hold: Hold, otherwise: str, note: Note) -> Hold | None:
    """End a runtime that was started otherwise; hold it all the same, and say so, where somebody needs or owns it."""
    kept = await gives_way(settings, hold)
    if kept is None:
        note(f"the running runtime had nothing to do and is ended: {otherwise}")
    else:
        note(f"the running runtime is in use and goes on as it is: {otherwise}; {settings.command} down ends it")
    return kept


async def gives_way(settings: Settings, hold: Hold) -> Hold | None:
    """Let go of a runtime and have it end; return a hold on it where somebody needs or owns it."""
    with runtime_process(hold.record.pid, settings.home) as process:
        ends = process is not None and await hold.lets_end()
        await hold.release()
        ended = ends and process is not None and await process.ended(END_TIMEOUT_S)
    return None if ended else await join(settings.home)
