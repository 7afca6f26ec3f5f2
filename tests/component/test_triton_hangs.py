"""What the real Triton's watchdog does about a model that says what it is doing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, TritonStartFailed
from continuity.inference.phases import STATE_BYTES
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec
from continuity.inference.watchdog import RendererHealth, RendererState, TritonWatchdog
from engine.crashes import Crashes
from tests.component.echo import order

pytestmark = pytest.mark.triton

Make = Callable[..., TritonSettings]
LIMIT_S = 20.0
NOTICED_S = 2.0
"""An exit is seen within this."""


def publish(path: Path, pid: int, phase: str, limit_s: float | None, *requests: str) -> None:
    told = {"pid": pid, "phase": phase, "began_s": time.monotonic(), "limit_s": limit_s, "requests": requests}
    path.write_bytes(json.dumps(told).encode().ljust(STATE_BYTES))


class Watched:
    """A server under a watchdog, and what the watchdog reported."""

    def __init__(self, settings: TritonSettings) -> None:
        self.server = TritonServer(settings)
        self.reports: asyncio.Queue[RendererHealth] = asyncio.Queue()
        self.watchdog = TritonWatchdog(self.server, on_change=self.reports.put_nowait)

    async def next(self, state: RendererState, within_s: float = LIMIT_S) -> str:
        """Return the reason of the next report, which must be of that state."""
        async with asyncio.timeout(within_s):
            report = await self.reports.get()
        assert report.state is state, report
        return report.reason


@asynccontextmanager
async def watched_by(settings: TritonSettings) -> AsyncIterator[Watched]:
    watched = Watched(settings)
    watched.watchdog.start()
    try:
        await watched.next(RendererState.STARTING)
        await watched.next(RendererState.SERVING)
        yield watched
    finally:
        await watched.watchdog.stop()


async def test_a_model_that_hangs_is_replaced_and_the_requests_on_its_device_are_charged(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    state = tmp_path / "engine.state"
    settings = triton_settings(tmp_path, state_path=state)
    async with watched_by(settings) as watched, TritonClient(watched.server.address) as client:
        (stub,) = watched.server.stubs()
        regions = set(Path("/dev/shm").glob(f"{settings.shared_memory_prefix}*"))
        request = client.stream(echo, order(b"wait"), request_id="a", timeout_s=60)
        await anext(request)
        os.kill(stub, signal.SIGSTOP)
        publish(state, stub, "step", 0.1, "a", "b")
        reason = await watched.next(RendererState.RESTARTING)
        assert (
            reason
            == f"the interpreter of a model (process {stub}) hangs: phase step of a, b (0.1 s) outlived its limit"
        )
        with pytest.raises(RendererUnavailable):
            await anext(request)
        await watched.next(RendererState.SERVING)
        again = client.stream(echo, order(b"echo", steps=2), request_id="a", timeout_s=30)
        assert len([response async for response in again]) == 2
        assert not regions & set(Path("/dev/shm").glob(f"{settings.shared_memory_prefix}*"))
    assert [Crashes(state).charged(id) for id in ("a", "b", "c")] == [1, 1, 0]


async def test_a_dead_engine_is_noticed_at_once_and_only_whose_step_ran_is_charged(
    triton_settings: Make, tmp_path: Path
) -> None:
    state = tmp_path / "engine.state"
    async with watched_by(triton_settings(tmp_path, state_path=state)) as watched:
        (stub,) = watched.server.stubs()
        publish(state, stub, "step", 600.0, "running")
        os.kill(stub, signal.SIGKILL)
        reason = await watched.next(RendererState.RESTARTING, NOTICED_S)
        assert reason == f"the interpreter of a model (process {stub}) died in phase step of running (600 s)"
        await watched.next(RendererState.SERVING)
    crashes = Crashes(state)
    assert (crashes.charged("running"), crashes.charged("waiting")) == (1, 0)


async def test_a_server_that_dies_by_itself_is_nobodys_fault(triton_settings: Make, tmp_path: Path) -> None:
    state = tmp_path / "engine.state"
    async with watched_by(triton_settings(tmp_path, state_path=state)) as watched:
        publish(state, watched.server.stubs()[0], "step", 600.0, "running")
        assert watched.server.pid
        os.kill(watched.server.pid, signal.SIGKILL)
        assert "the server died" in await watched.next(RendererState.RESTARTING, NOTICED_S)
        await watched.next(RendererState.SERVING)
    assert Crashes(state).charged("running") == 0


async def test_stopping_in_the_middle_of_a_step_is_nobodys_fault(triton_settings: Make, tmp_path: Path) -> None:
    state = tmp_path / "engine.state"
    async with watched_by(triton_settings(tmp_path, state_path=state, stop_grace_s=0)) as watched:
        publish(state, watched.server.stubs()[0], "step", 600.0, "running")
    assert Crashes(state).charged("running") == 0


async def test_a_model_that_hangs_while_it_starts_is_given_up_at_its_own_limit(
    triton_settings: Make, tmp_path: Path
) -> None:
    state = tmp_path / "engine.state"
    server = TritonServer(triton_settings(tmp_path, state_path=state, models=("echo_stream",), start_timeout_s=LIMIT_S))
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(LIMIT_S):
        while not server.stubs():
            assert not starting.done(), "it started too fast to hang"
            await asyncio.sleep(0)
    (stub,) = server.stubs()
    os.kill(stub, signal.SIGSTOP)
    publish(state, stub, "starting", 0.1)
    with pytest.raises(TritonStartFailed, match=rf"\(process {stub}\) hangs: phase starting"):
        await starting
    assert server.pid is None
    await server.stop()
