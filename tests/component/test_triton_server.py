import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, TritonStartFailed
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec, Tensors, bytes_tensor
from continuity.inference.watchdog import RendererHealth, RendererState, TritonWatchdog

pytestmark = pytest.mark.triton

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., TritonSettings]

PARENT = """
import asyncio, sys
from pathlib import Path
from continuity.inference.locate import locate_triton
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings

async def main(root, repository, logs):
    server = TritonServer(TritonSettings(locate_triton(root), repository, ("echo_stream",), logs))
    await server.start()
    print(server.pid, *server.stubs(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*map(Path, sys.argv[1:])))
"""


def order(command: bytes) -> Tensors:
    return {"command": bytes_tensor(command), "steps": np.array([2], np.int32)}


async def steps(address: str, model: ModelSpec, command: bytes = b"echo") -> list[int]:
    async with TritonClient(address) as client:
        stream = client.stream(model, order(command), request_id="request", timeout_s=30)
        return [int(response["step"][0]) async for response in stream]


async def until(condition: Callable[[], bool], deadline_s: float = 15) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    """Dead or a zombie that only its parent can bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def shared_memory(settings: TritonSettings) -> list[Path]:
    return list(Path("/dev/shm").glob(f"{settings.shared_memory_prefix}*"))


class Watched:
    """A server under a watchdog, with everything that the watchdog reported."""

    def __init__(self, settings: TritonSettings) -> None:
        self.server = TritonServer(settings)
        self.reports: list[RendererHealth] = []
        self.watchdog = TritonWatchdog(self.server, on_change=self.reports.append)

    def states(self) -> list[RendererState]:
        return [report.state for report in self.reports]

    async def serving_again(self) -> None:
        await until(lambda: RendererState.RESTARTING in self.states())
        assert (await self.watchdog.settled()).state is RendererState.SERVING


@asynccontextmanager
async def watched_by(settings: TritonSettings) -> AsyncIterator[Watched]:
    watched = Watched(settings)
    watched.watchdog.start()
    try:
        assert (await watched.watchdog.settled()).state is RendererState.SERVING
        yield watched
    finally:
        await watched.watchdog.stop()


async def test_a_model_that_kills_its_interpreter_is_back_at_the_same_address(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    async with watched_by(triton_settings(tmp_path)) as watched:
        address = watched.server.address
        with pytest.raises(RendererUnavailable):
            await steps(address, echo, b"crash")
        await watched.serving_again()
        assert watched.server.address == address
        assert await steps(address, echo) == [1, 2]
    assert watched.states() == ["starting", "serving", "restarting", "serving", "stopped"]
    assert "interpreter of a model" in watched.reports[2].reason


async def test_a_stub_killed_in_the_middle_of_a_request_ends_it_as_unavailable(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    async with watched_by(triton_settings(tmp_path)) as watched, TritonClient(watched.server.address) as client:
        stream = client.stream(echo, order(b"wait"), request_id="request", timeout_s=60)
        await anext(stream)
        os.kill(watched.server.stubs()[0], signal.SIGKILL)
        with pytest.raises(RendererUnavailable):
            await anext(stream)
        await watched.serving_again()
        responses = client.stream(echo, order(b"echo"), request_id="again", timeout_s=30)
        assert len([response async for response in responses]) == 2


async def test_a_killed_server_is_back_and_leaves_no_shared_memory(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    settings = triton_settings(tmp_path)
    async with watched_by(settings) as watched:
        first = [watched.server.pid, *watched.server.stubs()]
        regions = set(shared_memory(settings))
        assert watched.server.pid
        os.kill(watched.server.pid, signal.SIGKILL)
        await watched.serving_again()
        assert await steps(watched.server.address, echo) == [1, 2]
        assert not regions & set(shared_memory(settings))
        assert all(gone(pid) for pid in first if pid)
    assert shared_memory(settings) == []
    assert "exit code 137" in watched.reports[2].reason


async def test_a_killed_server_is_back_although_a_model_outlives_it(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    async with watched_by(triton_settings(tmp_path)) as watched:
        (stub,) = watched.server.stubs()
        os.kill(stub, signal.SIGSTOP)  # it cannot notice anything, and holds the server's output open
        assert watched.server.pid
        os.kill(watched.server.pid, signal.SIGKILL)
        await watched.serving_again()
        assert await steps(watched.server.address, echo) == [1, 2]
        await until(lambda: gone(stub))


async def test_stopping_ends_the_whole_group_and_removes_its_shared_memory(
    triton_settings: Make, tmp_path: Path
) -> None:
    settings = triton_settings(tmp_path)
    server = TritonServer(settings)
    await server.start()
    pids = [server.pid, *server.stubs()]
    assert len(pids) == 2
    assert shared_memory(settings)
    await server.stop()
    await until(lambda: all(gone(pid) for pid in pids if pid))
    assert shared_memory(settings) == []
    assert "Signal (15) received" in (tmp_path / "triton.log").read_text()


def test_a_server_is_stopped_whole_though_a_process_of_a_model_holds_its_output(
    triton_settings: Make, tmp_path: Path, echo: ModelSpec
) -> None:
    async def stopped() -> int:
        server = TritonServer(triton_settings(tmp_path))
        await server.start()
        async with TritonClient(server.address) as client:
            stream = client.stream(echo, order(b"detach"), request_id="request", timeout_s=30)
            pids = [int(response["payload"][0]) async for response in stream]
        await server.kill()
        await server.stop()
        return pids[0]

    detached = asyncio.run(stopped())
    os.kill(detached, signal.SIGKILL)  # it was there all the time
    gc.collect()  # what asyncio has not closed complains now, and that fails a test


async def test_without_grace_a_server_is_killed_at_once(triton_settings: Make, tmp_path: Path) -> None:
    settings = triton_settings(tmp_path, stop_grace_s=0)
    server = TritonServer(settings)
    await server.start()
    pids = [server.pid, *server.stubs()]
    await server.stop()
    await until(lambda: all(gone(pid) for pid in pids if pid))
    assert shared_memory(settings) == []
    assert "Signal (15)" not in (tmp_path / "triton.log").read_text()


@pytest.mark.parametrize("stuck", [False, True], ids=["running models", "a model that hangs"])
async def test_a_server_and_its_models_die_with_their_parent(
    triton_settings: Make, tmp_path: Path, stuck: bool
) -> None:
    settings = triton_settings(tmp_path)
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(ROOT), str(settings.model_repository), str(tmp_path)),
        env={"PYTHONPATH": str(ROOT / "libs")},
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    if stuck:
        os.kill(pids[1], signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    await until(lambda: all(map(gone, pids)))


async def test_a_model_that_does_not_load_is_reported_with_the_log_and_leaves_nothing_running(
    triton_settings: Make, tmp_path: Path
) -> None:
    settings = triton_settings(tmp_path, models=("echo_stream", "absent"))
    server = TritonServer(settings)
    with pytest.raises(TritonStartFailed, match="exit code 1") as caught:
        await server.start()
    assert "absent" in caught.value.log_tail
    assert server.pid is None
    assert shared_memory(settings) == []
    await server.stop()


async def test_a_server_that_takes_too_long_is_given_up(triton_settings: Make, tmp_path: Path) -> None:
    server = TritonServer(triton_settings(tmp_path, start_timeout_s=0.01))
    with pytest.raises(TritonStartFailed, match=r"not ready within 0.01 s"):
        await server.start()
    assert server.pid is None
    await server.stop()


async def test_what_a_killed_predecessor_left_in_shared_memory_is_swept_at_the_start(
    triton_settings: Make, tmp_path: Path
) -> None:
    settings = triton_settings(tmp_path)
    left = Path("/dev/shm") / f"{settings.shared_memory_prefix}left"
    left.write_bytes(b"left behind")
    server = TritonServer(settings)
    await server.start()
    assert not left.exists()
    await server.stop()
