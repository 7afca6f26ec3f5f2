"""A service as its bootstrap hands it over, and the host that runs one or several of them behind one port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from continuity.hosting.dead_letters import RPC_NAMES as DEAD_LETTER_RPC_NAMES
from continuity.hosting.dead_letters import DeadLetterServicer, HeldLetters
from continuity.kernel.errors import ContinuityError, Unavailable
from continuity.messaging.bus import EventBus
from continuity.rpc.server import Registration, RpcServer

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]
"""Returns when all is well and raises a ``ContinuityError`` when not."""

HEALTH_INTERVAL_S = 2.0
BROKER = "continuity.broker"
FIRST_RESTART_S = 0.5
MAX_RESTART_S = 10.0


@dataclass(frozen=True)
class Hosted:
    """One service, wired and not yet running.

    ``background`` tasks run beside the calls, most of them without end. ``dependencies`` are checks with health names
    of their own. ``idle`` tells whether no accepted work is unfinished. ``relay`` ends after everything else: it still
    publishes what the others leave behind. ``dead_letters`` are those that the service could not handle.
    """

    name: str
    rpc_names: Sequence[str]
    register: Registration
    bus: EventBus
    store: Check
    relay: Callable[[], Awaitable[None]] | None = None
    dead_letters: HeldLetters | None = None
    background: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    dependencies: Mapping[str, Check] = field(default_factory=dict)
    idle: Callable[[], Awaitable[bool]] | None = None
    close: Callable[[], Awaitable[None]] | None = None


class Host:
    """Runs services on one gRPC server: SERVING while a service's own store accepts writes, drained on stop."""

    def __init__(self, listen_address: str, services: Sequence[Hosted]) -> None:
        self.server = RpcServer(listen_address)
        self._services = tuple(services)
        self._tasks: list[asyncio.Task[None]] = []
        self._relays: list[asyncio.Task[None]] = []
        for service in self._services:
            self.server.add(service.register, service.rpc_names)
        letters = {service.name: service.dead_letters for service in self._services if service.dead_letters}
        if letters:
            self.server.add(DeadLetterServicer(letters).register, DEAD_LETTER_RPC_NAMES)

    async def start(self) -> str:
        """Begin to consume, start the background tasks and the server; return the address."""
        for service in self._services:
            await service.bus.start()
            for name, run in service.background.items():
                self._tasks.append(asyncio.create_task(kept_running(f"{service.name}.{name}", run)))
            if service.relay is not None:
                self._relays.append(asyncio.create_task(kept_running(f"{service.name}.relay", service.relay)))
        address = await self.server.start()
        await self._look_after()
        self._tasks.append(asyncio.create_task(kept_running("health", self._watch_health)))
        return address

    async def connected(self) -> None:
        """Return once every service consumes. Raises ``BrokerMisconfigured``, after which none ever will."""
        await asyncio.gather(*(service.bus.connected() for service in self._services))

    async def idle(self) -> bool:
        """Tell whether no call is in flight and no accepted work is unfinished."""
        if self.server.calls.in_flight:
            return False
        answers = [await service.idle() for service in self._services if service.idle is not None]
        return all(answers)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let running ones finish, stop consuming, end the background tasks, publish what is left."""
        await self.server.stop(grace_s)
        await _every([service.bus.stop_consuming() for service in self._services])
        await _ended(self._tasks)
        await _ended(self._relays)
        await _every([service.bus.stop() for service in self._services])
        await _every([service.close() for service in self._services if service.close is not None])

    async def _watch_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            await self._look_after()

    async def _look_after(self) -> None:
        every = await asyncio.gather(*(self._health_of(service) for service in self._services))
        await self.server.set_health("", all(every))
        # All buses lead to one broker.
        await self.server.set_health(BROKER, await _passes(self._services[0].bus.check))

    async def _health_of(self, service: Hosted) -> bool:
        serving = await _passes(service.store)
        for name in service.rpc_names:
            await self.server.set_health(name, serving)
        for name, check in service.dependencies.items():
            await self.server.set_health(name, await _passes(check))
        return serving


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _every(endings: Sequence[Awaitable[None]]) -> None:
    """Await all of them; one that fails is logged and keeps nothing else open."""
    for outcome in await asyncio.gather(*endings, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log.error("something could not be closed", exc_info=outcome)


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(HEALTH_INTERVAL_S * 2):
            await check()
    except (ContinuityError, TimeoutError):
        return False
    except Exception:
        _log.exception("a health check broke")
        return False
    return True


async def kept_running(
    name: str, run: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.monotonic
) -> None:
    """Run a task to its end, if it has one; when it breaks, say so and begin it again, later each time it breaks soon.

    Something that is away is no fault of the task: that is said without its stack.
    """
    delay_s = FIRST_RESTART_S
    while True:
        began = clock()
        try:
            return await run()
        except Exception as error:
            delay_s = FIRST_RESTART_S if clock() - began > MAX_RESTART_S else delay_s
            foreseen = isinstance(error, Unavailable)
            _log.error("%s broke; it begins again in %.1f s: %s", name, delay_s, error, exc_info=not foreseen)
        await asyncio.sleep(delay_s)
        delay_s = min(MAX_RESTART_S, delay_s * 2)
