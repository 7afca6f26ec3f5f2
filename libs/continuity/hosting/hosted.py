"""A service as its bootstrap hands it over, and the host that runs one or several of them behind one port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from continuity.hosting.dead_letters import RPC_NAMES as DEAD_LETTER_RPC_NAMES
from continuity.hosting.dead_letters import DeadLetterServicer, HeldLetters
from continuity.kernel.endings import within
from continuity.kernel.errors import ContinuityError, Full, Unavailable
from continuity.messaging.bus import STOP_CONSUMING_S, STOP_TIMEOUT_S, EventBus
from continuity.messaging.relay import DRAIN_S
from continuity.rpc.server import Registration, RpcServer

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]
"""Returns when all is well and raises a ``ContinuityError`` when not."""

TASKS_END_S = 6.0
"""Workers hand back within five seconds what they have leased; what is not handed back lapses."""
CONSUMING_END_S = STOP_CONSUMING_S + 1.0
RELAYS_END_S = DRAIN_S + 0.5
BUSES_END_S = STOP_TIMEOUT_S + 1.0
CLOSE_S = 2.0
STOP_S = max(CONSUMING_END_S, TASKS_END_S) + RELAYS_END_S + BUSES_END_S + CLOSE_S
"""The longest that stopping takes after the calls have ended, whatever does not answer."""
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
        """Refuse new calls, let running ones finish, end consuming and the background tasks, publish what is left.

        That takes ``grace_s`` and ``STOP_S`` at most: what does not end in its time is left behind.
        """
        await self.server.stop(grace_s)
        consuming = _every([service.bus.stop_consuming() for service in self._services], CONSUMING_END_S)
        await asyncio.gather(consuming, _ended(self._tasks, TASKS_END_S))
        await _ended(self._relays, RELAYS_END_S)
        await _every([service.bus.stop() for service in self._services], BUSES_END_S)
        await _every([service.close() for service in self._services if service.close is not None], CLOSE_S)

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


async def _ended(tasks: Sequence[asyncio.Task[None]], limit_s: float) -> None:
    for task in tasks:
        task.cancel()
    await _every(tasks, limit_s)


async def _every(endings: Sequence[Awaitable[None]], limit_s: float) -> None:
    """Await all of them; one that fails or hangs is logged and keeps nothing else open."""
    for error in await within(limit_s, endings):
        _log.error("something could not be ended within %s s", limit_s, exc_info=error)


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

    Something that is away or full is no fault of the task: that is a warning, given once for as long as it stays so.
    """
    delay_s, told = FIRST_RESTART_S, ""
    while True:
        began = clock()
        try:
            return await run()
        except Exception as error:
            if clock() - began > MAX_RESTART_S:
                delay_s, told = FIRST_RESTART_S, ""
            if not isinstance(error, Unavailable | Full):
                _log.exception("%s broke; it begins again in %.1f s: %s", name, delay_s, error)
            elif error.reason != told:
                told = error.reason
                _log.warning("%s waits and tries again, at most %.0f s apart: %s", name, MAX_RESTART_S, error)
        await asyncio.sleep(delay_s)
        delay_s = min(MAX_RESTART_S, delay_s * 2)
