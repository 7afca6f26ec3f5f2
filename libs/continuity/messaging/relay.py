"""The relay: publishes what waits in outboxes, at least once and in order within each aggregate.

The writer's own relay is nudged and publishes at once. Whatever it does not get to (it was full, it died) is taken over
when its time has come, by one of the others. While consumers lag or the broker is away, what is in hand waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from continuity.documents.port import Collection, Documents, OutgoingEvent, Ref
from continuity.kernel.clock import Clock, SystemClock
from continuity.kernel.errors import ContinuityError
from continuity.kernel.ids import new_id
from continuity.messaging.backoff import Backoff
from continuity.messaging.bus import EventBus
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import Published

_log = logging.getLogger(__name__)

IN_HAND_LIMIT = 10_000
BATCH_LIMIT = 500
GATHER_S = 0.003
"""A rest after each batch: under load the next one is larger for it, and an idle relay has rested already."""
SWEEP_INTERVAL_S = 1.0
LEASE_S = 15.0
BACKLOG_LIMIT = 4_000
"""Outstanding deliveries at which publishing pauses; the embedded broker keeps 5 MB a partition."""
DRAIN_S = 3.0
"""How long a relay that is stopped goes on publishing what it has in hand; the rest is taken over."""
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0


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
        self.counts: Counter[str] = Counter()
        self._documents = documents
        self._collections = tuple(collections)
        self._bus = bus
        self._backlog = backlog
        self._clock = clock or SystemClock()
        self._in_hand: dict[Ref, None] = {}
        self._nudged = asyncio.Event()
        self._sweep_time = 0.0
        self._room = 0
        self._turning: asyncio.Task[bool] | None = None

    def nudge(self, ref: Ref) -> None:
        """Tell that a document has events to publish. Never waits: what is too much is left to the sweep."""
        if len(self._in_hand) < IN_HAND_LIMIT:
            self._in_hand[ref] = None
            self._nudged.set()

    async def run(self) -> None:
        """Publish until cancelled; then, for a moment, what is in hand."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        try:
            while True:
                await self._until_nudged()
                self._turning = asyncio.create_task(self._turn())
                if await asyncio.shield(self._turning):
                    backoff.reset()
                    await asyncio.sleep(GATHER_S)
                else:
                    await backoff.pause()
        finally:
            await self._drain()

    async def _until_nudged(self) -> None:
        """Return when there is something in hand, or it is time to sweep."""
        with contextlib.suppress(TimeoutError):
            while not self._in_hand:
                self._nudged.clear()
                async with asyncio.timeout(self._sweep_time - asyncio.get_running_loop().time()):
                    await self._nudged.wait()

    async def _turn(self) -> bool:
        """Publish one batch; false when that is to wait."""
        try:
            await self._sweep()
            return await self._room_for_more() and await self._publish(self._taken())
        except ContinuityError as error:
            _log.warning("events of %s wait: %s", self._bus.service, error)
            return False

    async def _sweep(self) -> None:
        """Take over what is due, however many nudges come; what is in hand already stays its relay's."""
        now = asyncio.get_running_loop().time()
        if now < self._sweep_time:
            return
        self._sweep_time = now + SWEEP_INTERVAL_S
        wall = self._clock.now()
        due = await self._documents.due_outboxes(self._collections, wall, wall + LEASE_S, self.owner, BATCH_LIMIT)
        self.counts["taken over"] += len(due)
        self._take_back(due)

    async def _room_for_more(self) -> bool:
        """Tell whether consumers keep up. They are asked again when so much was published as they had room for."""
        if self._backlog is not None and self._room <= 0:
            self._room = BACKLOG_LIMIT + 1 - await self._backlog()
        return self._backlog is None or self._room > 0

    def _taken(self) -> list[Ref]:
        refs = list(self._in_hand)[:BATCH_LIMIT]
        for ref in refs:
            del self._in_hand[ref]
        return refs

    def _take_back(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self._in_hand[ref] = None

    async def _publish(self, refs: Sequence[Ref]) -> bool:
        """Publish outboxes side by side, each in order; false when the broker is away."""
        try:
            due = await self._documents.outboxes(refs, self.owner) if refs else {}
            outcomes = dict(zip(due, await self._bus.publish_each(list(due.values())), strict=True)) if due else {}
            await self._settle(due, outcomes)
        except BaseException:
            self._take_back(refs)
            raise
        return self._noted(outcomes)

    async def _settle(self, due: Mapping[Ref, tuple[OutgoingEvent, ...]], outcomes: dict[Ref, Published]) -> None:
        confirmed = {ref: due[ref][: done.count] for ref, done in outcomes.items() if done.count}
        published = {ref: [event.id for event in events] for ref, events in confirmed.items()}
        if published:
            await self._documents.settle(published)
        count = sum(map(len, published.values()))
        self.counts["published"] += count
        self._room -= count

    def _noted(self, outcomes: dict[Ref, Published]) -> bool:
        """Keep in hand what waits for the broker; what was refused for itself is left to a later sweep."""
        failed = {ref: done.error for ref, done in outcomes.items() if done.error is not None}
        self.counts["failed"] += len(failed)
        for message in sorted({str(error) for error in failed.values()}):
            _log.warning("events of %s wait: %s", self._bus.service, message)
        waiting = [ref for ref, error in failed.items() if isinstance(error, BrokerUnavailable)]
        self._take_back(waiting)
        return not waiting

    async def _drain(self) -> None:
        """End the turn that goes on, so that what it has published is settled, and go on with what is in hand."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                if self._turning is not None and not await self._turning:
                    return
                while self._in_hand and await self._turn():
                    pass
