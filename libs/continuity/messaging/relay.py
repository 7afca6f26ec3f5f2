"""The relay: publishes what waits in outboxes, at least once and in order within each aggregate.

The writer's own relay is nudged and publishes at once. Whatever it does not get to (it was full, it died, the broker
was away) is taken over when its time has come. While consumers lag, nothing is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from continuity.documents.port import Collection, Documents, Ref
from continuity.kernel.clock import Clock, SystemClock
from continuity.kernel.errors import ContinuityError
from continuity.kernel.ids import new_id
from continuity.messaging.bus import EventBus

_log = logging.getLogger(__name__)

NUDGES_LIMIT = 10_000
BATCH_LIMIT = 200
SWEEP_INTERVAL_S = 1.0
LEASE_S = 15.0
BACKLOG_LIMIT = 4_000
"""Outstanding deliveries at which publishing pauses; the embedded broker keeps 5 MB a partition."""


class Relay:
    """Publishes the outboxes of one service's collections."""

    def __init__(
        self,
        documents: Documents,
        collections: Sequence[Collection],
        bus: EventBus,
        backlog: Callable[[], Awaitable[int]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.owner = f"{bus.service}-{new_id()[:8]}"
        self._documents = documents
        self._collections = tuple(collections)
        self._bus = bus
        self._backlog = backlog
        self._clock = clock or SystemClock()
        self._nudges: asyncio.Queue[Ref] = asyncio.Queue(NUDGES_LIMIT)
        self._sweep_time = 0.0

    def nudge(self, ref: Ref) -> None:
        """Tell that a document has events to publish. Never waits: a full queue leaves it to the sweep."""
        if not self._nudges.full():
            self._nudges.put_nowait(ref)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            try:
                await self._turn()
            except ContinuityError as error:
                # Its time will come again: what was not settled is still in its outbox.
                _log.warning("events wait: %s", error)
                await asyncio.sleep(SWEEP_INTERVAL_S)

    async def _turn(self) -> None:
        refs = await self._nudged()
        if asyncio.get_running_loop().time() >= self._sweep_time:  # however many nudges come
            refs += await self._swept()
            self._sweep_time = asyncio.get_running_loop().time() + SWEEP_INTERVAL_S
        if refs and await self._consumers_keep_up():
            await self._publish(refs)

    async def _consumers_keep_up(self) -> bool:
        """Tell whether there is room; where there is none, the outboxes wait for a later sweep."""
        return self._backlog is None or await self._backlog() <= BACKLOG_LIMIT

    async def _nudged(self) -> list[Ref]:
        """Wait for nudges until it is time to sweep; return them without repeats."""
        try:
            async with asyncio.timeout(SWEEP_INTERVAL_S):
                refs = {await self._nudges.get(): None}
        except TimeoutError:
            return []
        while len(refs) < BATCH_LIMIT and not self._nudges.empty():
            refs[self._nudges.get_nowait()] = None
        return list(refs)

    async def _swept(self) -> list[Ref]:
        now = self._clock.now()
        return list(await self._documents.due_outboxes(self._collections, now, now + LEASE_S, self.owner, BATCH_LIMIT))

    async def _publish(self, refs: Sequence[Ref]) -> None:
        """Publish each outbox in order, all of them side by side; what one is refused for holds up no other."""
        waiting = [(ref, await self._documents.outbox(ref)) for ref in refs]
        due = [(ref, outbox) for ref, outbox in waiting if outbox]
        outcomes = await asyncio.gather(*(self._bus.publish(outbox) for _, outbox in due), return_exceptions=True)
        answered = list(zip(due, outcomes, strict=True))
        published = {ref: [event.id for event in outbox] for (ref, outbox), outcome in answered if outcome is None}
        if published:
            await self._documents.settle(published)
        for failure in filter(None, outcomes):
            raise failure
