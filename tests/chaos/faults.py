"""Brings planned faults about and undoes them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from deploy.local.servers.base import Server, ServerFailed
from deploy.local.servers.toxiproxy import Proxy
from tests.chaos import reading
from tests.chaos.schedule import Fault, Planned
from tests.chaos.topology import Topology
from tests.chaos.waiting import none_left

STOP_LIMIT_S = 60.0
BUSY_LIMIT_S = 15.0
"""How long a fault waits for somebody to be at work."""
START_TRIES = 3
TRITON_SERVER, TRITON_STUB = "tritonserver", "triton_python"


class Faults:
    """``done`` counts the faults that came about. One resource has one fault at a time: the next waits for its end."""

    def __init__(self, topology: Topology) -> None:
        self.done: Counter[Fault] = Counter()
        self._topology = topology
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def kills(self) -> int:
        """How many processes have died."""
        return sum(count for fault, count in self.done.items() if fault.startswith(("kill-", "stop-")))

    async def run(self, planned: Sequence[Planned]) -> None:
        """Bring all about at their moments; return when all are undone."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for each in planned:
                group.create_task(self._at(began + each.moment_s, each))

    async def _at(self, time: float, planned: Planned) -> None:
        await asyncio.sleep(time - asyncio.get_running_loop().time())
        if planned.fault in self._topology.skipped:
            return
        print(planned, flush=True)
        if await self._strike(planned):
            self.done[planned.fault] += 1

    async def _strike(self, planned: Planned) -> bool:
        """Bring a fault about and undo it; false when there was nobody to strike."""
        match planned.fault:
            case Fault.KILL_REPLICA:
                return await self._kill(self._topology.services.server(planned.victim))
            case Fault.KILL_TRITON:
                return await self._kill(self._topology.services.triton)
            case Fault.KILL_TRITON_SERVER:
                return await self._kill_below(TRITON_SERVER)
            case Fault.KILL_TRITON_STUB:
                return await self._kill_below(TRITON_STUB)
            case Fault.KILL_KAFKA:
                return await self._down(self._topology.kafka, planned.length_s)
            case Fault.KILL_MINIO:
                return await self._down(self._topology.minio, planned.length_s)
            case Fault.STOP_MONGO:
                return await self._down(self._topology.mongo, planned.length_s, gently=True)
            case Fault.FREEZE:
                return await self._freeze(self._topology.services.server(planned.victim), planned.length_s)
            case Fault.FULL_DISK:
                return await self._fill_disk(planned.length_s)
            case Fault.CLOCK:
                return await self._move_clock(planned)
            case _:
                return await self._disturb(self._topology.proxies[planned.victim], planned)

    async def _kill(self, server: Server) -> bool:
        """Kill one of ours; whoever supervises it starts it again."""
        alive = server.alive()
        server.signal(signal.SIGKILL)
        return alive

    async def _kill_below(self, command: str) -> bool:
        found = self._topology.services.triton.descendants(command)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    async def _down(self, server: Server, length_s: float, *, gently: bool = False) -> bool:
        async with self._locks[server.name]:
            await (asyncio.to_thread(server.stop, STOP_LIMIT_S) if gently else asyncio.to_thread(server.kill))
            await asyncio.sleep(length_s)
            await asyncio.to_thread(_up, server)
        return True

    async def _freeze(self, server: Server, length_s: float) -> bool:
        """Hold a worker up while something is drawn: one that has nothing to do would not be missed."""
        async with self._locks[server.name]:
            if await none_left(lambda: reading.nothing_leased(self._topology), BUSY_LIMIT_S) or not server.alive():
                return False
            server.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(length_s)
            finally:
                server.signal(signal.SIGCONT)
        return True

    async def _fill_disk(self, length_s: float) -> bool:
        disk = self._topology.disk
        assert disk is not None
        async with self._locks["disk"]:
            await asyncio.to_thread(disk.fill)
            await asyncio.sleep(length_s)
            await asyncio.to_thread(disk.clear)
        return True

    async def _move_clock(self, planned: Planned) -> bool:
        clocks = self._topology.clocks
        assert clocks is not None
        async with self._locks[f"clock of {planned.victim}"]:
            clocks.move(planned.victim, planned.amount)
            await asyncio.sleep(planned.length_s)
            clocks.move(planned.victim, 0)
        return True

    async def _disturb(self, proxy: Proxy, planned: Planned) -> bool:
        async with self._mended(proxy):
            match planned.fault:
                case Fault.CUT:
                    await asyncio.to_thread(proxy.cut)
                case Fault.SLOW:
                    await asyncio.to_thread(proxy.slow, int(200 + 600 * planned.amount), 100)
                case Fault.NARROW:
                    await asyncio.to_thread(proxy.narrow, int(20 + 80 * planned.amount))
                case _:
                    await asyncio.to_thread(proxy.reset, int(500 * planned.amount))
            await asyncio.sleep(planned.length_s)
        return True

    @asynccontextmanager
    async def _mended(self, proxy: Proxy) -> AsyncIterator[None]:
        async with self._locks[f"way to {proxy.name}"]:
            try:
                yield
            finally:
                await asyncio.to_thread(proxy.mend)


def _up(server: Server) -> None:
    """Start a server, again if it is slow on a machine that is busy. Raises ``ServerFailed``."""
    for _ in range(START_TRIES - 1):
        with suppress(ServerFailed):
            return server.start()
    server.start()
