"""The real Triton server as a child process."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from contextlib import suppress
from pathlib import Path

from continuity.inference import tether
from continuity.inference.client import TritonClient
from continuity.inference.engine_watch import EngineWatch
from continuity.inference.errors import TritonStartFailed
from continuity.inference.phases import LOOK_S
from continuity.inference.processes import children, first_death, kill_group
from continuity.inference.scratch import ScratchFolder
from continuity.inference.server_log import BoundedLog
from continuity.inference.settings import TritonSettings

POLL_S = 0.05
DRAIN_S = 1.0
"""Time for the last output; a process that a model detached may hold the pipe open for longer."""


class TritonServer:
    """Starts, watches and stops one server in a process group of its own; it dies with the thread that started it.

    The group's leader is the tether, the server is its child and the models' interpreters are the server's.

    The address stays the same from one start to the next: between them the port is held by a bound socket that does not
    listen, so clients are refused and nobody else gets it.
    """

    def __init__(self, settings: TritonSettings) -> None:
        self._settings = settings
        self._log = BoundedLog(settings.log_folder / "triton.log", settings.log_limit_bytes)
        self._scratch = ScratchFolder(settings.log_folder / "triton.scratch")
        self._reservation = _reserve(settings.host, settings.port)
        self._port = int(self._reservation.getsockname()[1])
        self._process: Process | None = None
        self._draining: asyncio.Task[None] | None = None
        self._engine = EngineWatch(settings.state_path, self.stubs) if settings.state_path else None

    @property
    def address(self) -> str:
        """``host:port`` of gRPC."""
        return f"{self._settings.host}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server while it is started."""
        return next(iter(children(self._process.pid)), None) if self._process else None

    def stubs(self) -> list[int]:
        """Return the process ids of the models' Python interpreters, dead ones included."""
        return children(self.pid) if self.pid else []

    async def start(self) -> None:
        """Start and return when every model is ready; raises ``TritonStartFailed`` and leaves nothing running."""
        self._sweep()
        self._scratch.begin()
        if self._engine:
            self._engine.begin()
        process = await self._launch()
        try:
            failure = await self._failure(process)
        except BaseException:
            await self.kill()
            raise
        if failure:
            await self.kill()
            raise TritonStartFailed(failure, self._log.tail())
        self._scratch.claim()

    async def died(self) -> str:
        """Return, once the server or any model's interpreter is dead or hangs, which; Triton never replaces one."""
        if self._process is None:
            return "the server is not started"
        stubs = self.stubs()
        death = asyncio.create_task(first_death((*filter(None, (self.pid, self._process.pid)), *stubs)))
        try:
            if hung := await self._hung(until=death):
                return hung
            if (dead := await death) in stubs:
                return self._dead_stub(dead)
        finally:
            death.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), DRAIN_S)
        return f"the server died with exit code {self._process.returncode}"

    async def stop(self) -> None:
        """Let requests finish within the grace, then kill; gives the port back, so this server does not start again."""
        if self._process and self._process.returncode is None and self._settings.stop_grace_s:
            self._process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), self._settings.stop_grace_s)
        await self.kill()
        self._reservation.close()

    async def kill(self) -> None:
        """Kill the whole group at once and remove its shared memory; the port stays reserved."""
        if self._process and self._draining:
            kill_group(self._process.pid)
            await self._process.wait()
            await asyncio.wait([self._draining], timeout=DRAIN_S)
            self._draining.cancel()
            await asyncio.wait([self._draining])
        self._process = self._draining = None
        self._sweep()
        if self._engine:
            self._engine.ended()

    async def _hung(self, until: asyncio.Task[int]) -> str:
        """Return how a model hangs; nothing once ``until`` is done."""
        while not until.done():
            await asyncio.wait({until}, timeout=LOOK_S if self._engine else None)
            if not until.done() and (why := self._hang()):
                return why
        return ""

    def _hang(self) -> str:
        return self._engine.hang() if self._engine else ""

    def _dead_stub(self, pid: int) -> str:
        return self._engine.death(pid) if self._engine else f"the interpreter of a model (process {pid}) died"

    async def _launch(self) -> Process:
        # A pipe of our own: asyncio's would keep ``wait`` from returning for as long as anybody holds the other end.
        reading, writing = os.pipe()
        self._draining = asyncio.create_task(self._log.drain(reading))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid())),
                f"{tether.OPTION}{self._settings.shared_memory_prefix}",
                *self._settings.command(self._port),
                env=self._settings.variables(),
                stdin=DEVNULL,
                stdout=writing,
                stderr=STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        return self._process

    async def _failure(self, process: Process) -> str:
        """Return why the server does not become ready, or nothing once it is."""
        limit_s = self._settings.start_timeout_s
        try:
            async with asyncio.timeout(limit_s), TritonClient(self.address) as client:
                while not await self._all_ready(client):
                    if process.returncode is not None:
                        return f"exit code {process.returncode}"
                    if why := self._hang():
                        return why
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return f"not ready within {limit_s} s"
        return ""

    async def _all_ready(self, client: TritonClient) -> bool:
        for model in self._settings.models:
            if not await client.ready(model):
                return False
        return True

    def _sweep(self) -> None:
        for region in tether.SHARED_MEMORY.glob(f"{self._settings.shared_memory_prefix}*"):
            region.unlink(missing_ok=True)
        self._scratch.remove()


def _reserve(host: str, port: int) -> socket.socket:
    reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reservation.bind((host, port))
    return reservation
