"""Consuming in batches: every record is handled, or held in the service's own store; then all are acknowledged at once.

The records of one lane (topic and key) go in order, lanes go side by side, and their durable writes share flushes.
A record that fails is held for a retry, the later ones of its lane behind it, so nothing blocks its partition. While
the service's store is away nothing can be held either: consuming pauses, and no attempt is counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from continuity.kernel.errors import Full, Unavailable
from continuity.messaging.backoff import Backoff
from continuity.messaging.bus import EventBus
from continuity.messaging.checkpoints import Checkpoints
from continuity.messaging.envelope import EventMalformed
from continuity.messaging.handling import Failed, Handling, Subscription
from continuity.messaging.held_event import DEAD
from continuity.messaging.held_events import HeldEvents
from continuity.messaging.record import Record
from continuity.messaging.retries import Retries

__all__ = ["BATCH_LIMIT", "HEAVY_BATCH_LIMIT", "Consumer", "Subscription"]

_log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_LIMIT = 200
"""As many records as share flushes well; a batch of quick handlers ends within a second."""
HEAVY_BATCH_LIMIT = 8
"""For handlers that take seconds each: a batch must end long before the broker takes the consumer for dead."""
SIDE_BY_SIDE = 64
STORE_TRIES = 3
"""A store that answers and yet fails one event so often has something against that event."""
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 3.0


class Consumer:
    """Consumes all topics of one service in its group. ``retries`` is to be run beside it."""

    def __init__(
        self,
        bus: EventBus,
        subscriptions: Iterable[Subscription],
        held: HeldEvents,
        checkpoints: Checkpoints,
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._service = bus.service
        self._held = held
        self._checkpoints = checkpoints
        self._handling = Handling(bus.service, subscriptions)
        self._side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)
        self.outcomes = self._handling.outcomes
        self.retries = Retries(bus, held, self._handling)
        bus.subscribe(self._handling.topics, self.consume, batch_limit)

    async def consume(self, records: Sequence[Record]) -> None:
        """Return when every record is handled or held, and what is to be remembered is durable."""
        lanes: defaultdict[str, list[Record]] = defaultdict(list)
        for record in records:
            lanes[record.lane].append(record)
        last = await self._outlasting(lambda: self._held.last_in(lanes.keys()))
        async with asyncio.TaskGroup() as side_by_side:  # when one lane breaks no other goes on beside the next attempt
            for name, lane in lanes.items():
                side_by_side.create_task(self._consume_lane(lane, last.get(name)))
        ids = _event_ids(records)
        await self._outlasting(lambda: self._checkpoints.handled(self._service, ids))

    async def _consume_lane(self, records: Sequence[Record], last: int | None) -> None:
        async with self._side_by_side:
            for record in records:
                if last is None:
                    last = await self._consume_one(record)
                else:
                    last = await self._hold_behind(record, last)

    async def _consume_one(self, record: Record) -> int | None:
        """Handle a record; when it has to wait, return its place in the lane."""
        failed = await self._attempted(record)
        if failed is None:
            return None
        await self._room()
        held = await self._outlasting(lambda: self._held.hold(record, failed))
        self.outcomes["dead" if held.state == DEAD else "held"] += 1
        if held.state == DEAD:
            _log.warning("%s gives up a record of %s: %s", self._service, record.topic, failed.error)
            return None
        return held.sequence

    async def _hold_behind(self, record: Record, last: int) -> int:
        await self._room()
        held = await self._outlasting(lambda: self._held.hold_behind(record, last))
        self.outcomes["held"] += 1
        return max(last, held.sequence)

    async def _attempted(self, record: Record) -> Failed | None:
        for _ in range(STORE_TRIES - 1):
            failed = await self._handling(record)
            if failed is None or not failed.store_away:
                return failed
            await self._outlasting(self._held.check)
        return await self._handling(record)

    async def _room(self) -> None:
        """Return when one more event may wait."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while await self._outlasting(self._held.full):
            _log.warning("%s pauses: it holds as many events as it may", self._service)
            await backoff.pause()

    async def _outlasting(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what ``attempt`` does once the store answers; until then nothing is consumed, and nothing is lost."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            try:
                return await attempt()
            except (Unavailable, Full) as error:
                _log.warning("%s pauses: %s", self._service, error)
            await backoff.pause()


def _event_ids(records: Iterable[Record]) -> list[str]:
    ids: list[str] = []
    for record in records:
        try:
            ids.append(record.event().id)
        except EventMalformed:
            continue  # nobody has published it, so nobody waits for it
    return ids
