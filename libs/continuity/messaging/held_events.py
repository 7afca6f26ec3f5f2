"""The events that a service holds in its own store: those that wait for a retry, and its dead letters.

Events of one lane (topic and key) keep their order: while one waits, those that come later wait behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection as Lanes
from contextlib import suppress
from dataclasses import dataclass, replace

from continuity.documents.port import (
    DocumentExists,
    DocumentMissing,
    Documents,
    VersionConflict,
    at_most,
    equal,
    one_of,
)
from continuity.kernel.clock import Clock, SystemClock
from continuity.kernel.errors import Absent, WrongState
from continuity.kernel.ids import new_id
from continuity.messaging.claimed import CLAIM_S, Claimed
from continuity.messaging.handling import Failed
from continuity.messaging.held_event import DEAD, WAITING, HeldEvent, State, from_body, keepable
from continuity.messaging.held_store import HeldStore, held_collection
from continuity.messaging.record import Record
from continuity.messaging.verdict import MAX_DELAY_S, judged

__all__ = ["HeldEventMissing", "HeldEvents", "NotReplayable", "held_collection"]

HELD_LIMIT = 10_000
"""Waiting events at which a service stops consuming: what is on the topic is kept there for as long as it takes."""
NEVER = 1e12
"""Later than every time that something is due."""
DEAD_LIMIT = 10_000
"""Dead letters that are kept here, the newest; the dead-letter topic has them all."""
BEHIND_S = 1.0
"""When an event that waits behind another is looked at, should nobody have told that its turn has come."""
SWEEP_PAGE = 100


@dataclass(eq=False)
class HeldEventMissing(Absent):
    """No event of this service is held under the id."""

    template = "{consumer} holds no event {id!r}"
    consumer: str
    id: str


@dataclass(eq=False)
class NotReplayable(WrongState):
    """The event is not a dead letter, or was too long to be kept whole."""

    template = "event {id!r} cannot be replayed: {cause}"
    id: str
    cause: str


@dataclass(eq=False)
class NotDead(WrongState):
    """The event is not a dead letter: it waits for its next try."""

    template = "event {id!r} is not dead, it waits for its next try"
    id: str


class HeldEvents:
    """The held events of one service, shared by its replicas."""

    def __init__(self, documents: Documents, service: str, clock: Clock | None = None) -> None:
        self.service = service
        self._clock = clock or SystemClock()
        self._store = HeldStore(documents, service, self._clock)

    async def check(self) -> None:
        """Raise ``DocumentsUnavailable`` unless the store accepts writes."""
        await self._store.documents.check()

    async def last_in(self, lanes: Lanes[str]) -> dict[str, int]:
        """Return the last sequence of those lanes in which events wait: one query while none of them has any."""
        if not await self._store.count(equal("state", WAITING), one_of("lane", sorted(lanes)), limit=1):
            return {}
        lasts = await asyncio.gather(*(self._store.in_lane(lane, "-sequence", 1) for lane in lanes))
        return {held.lane: held.sequence for last in lasts for held, _ in last}

    async def full(self) -> bool:
        """Tell whether no more may be held: too many wait for their retry, or to be told of as dead letters."""
        waiting = await self._store.count(equal("state", WAITING), limit=HELD_LIMIT)
        untold = await self._store.count(equal("state", DEAD), at_most("due_time", NEVER), limit=HELD_LIMIT)
        return waiting + untold >= HELD_LIMIT

    async def waiting(self, topic: str) -> tuple[int, float | None]:
        """Return how many events of a topic wait, counted to 10,000, and since when the oldest does."""
        of_topic = [equal("state", WAITING), equal("record.topic", topic)]
        count = await self._store.count(*of_topic, limit=HELD_LIMIT)
        oldest = await self._store.some(*of_topic, order="hold_time", limit=1) if count else ()
        return count, next((held.hold_time for held, _ in oldest), None)

    async def hold(self, record: Record, failed: Failed) -> HeldEvent:
        """Hold the first of a lane after it failed; the verdict says whether it waits or is dead."""
        return await self._add(judged(self._new(record, 1), failed, self._clock.now()))

    async def hold_behind(self, record: Record, last: int) -> HeldEvent:
        """Hold an event behind the last of its lane, untried."""
        return await self._add(replace(self._new(record, last + 1), due_time=self._clock.now() + BEHIND_S))

    async def claim(self) -> Claimed | None:
        """Take an event with which there is something to do; None when there is none. The claim lapses by itself."""
        now = self._clock.now()
        document = await self._store.documents.claim(
            self._store.collection,
            [at_most("due_time", now)],
            ["due_time"],
            {"due_time": now + CLAIM_S, "claim": new_id()},
        )
        if document is None:
            return None
        return Claimed(self._store, from_body(document.id, document.body), document.version)

    async def until_due(self, most_s: float) -> None:
        """Return when there may be something to claim."""
        await self._store.until_due(most_s)

    async def first_in(self, lane: str) -> HeldEvent | None:
        """Return the event of a lane whose turn it is."""
        return next((held for held, _ in await self._store.in_lane(lane, "sequence", 1)), None)

    async def finish(self, held: HeldEvent) -> None:
        """Let go of an event that is handled; the next of its lane has its turn."""
        await self._store.delete(held.id)
        await self.advance(held.lane)

    async def advance(self, lane: str) -> None:
        """Let the first of a lane be due now; without this it would be in time, only later."""
        for first, version in await self._store.in_lane(lane, "sequence", 1):
            if not first.claim:
                await self._write_if_still(replace(first, due_time=self._clock.now()), version)

    async def sweep(self) -> None:
        """Mend times that a clock which jumped has left too far ahead, and let go of the oldest dead letters."""
        for state in (WAITING, DEAD):
            await self._mend_times(state)
        many = await self._store.count(equal("state", DEAD), limit=DEAD_LIMIT + SWEEP_PAGE)
        if many > DEAD_LIMIT:
            oldest = await self._store.some(equal("state", DEAD), order="hold_time", limit=many - DEAD_LIMIT)
            for held, version in oldest:
                if held.due_time is None:
                    with suppress(VersionConflict):  # somebody lets it be handled again
                        await self._store.delete(held.id, version)

    async def get(self, id: str) -> HeldEvent:
        """Return a held event. Raises ``HeldEventMissing``."""
        held, _ = await self._get(id)
        return held

    async def replay(self, id: str) -> None:
        """Let a dead letter be handled again, at once and with all its attempts.

        Raises ``HeldEventMissing``, ``NotDead``, ``NotReplayable`` and ``VersionConflict``.
        """
        held, version = await self._dead(id)
        if held.cut:
            raise NotReplayable(id=id, cause="it was too long to be kept whole")
        now = self._clock.now()
        last = (await self.last_in([held.lane])).get(held.lane, 0)
        waiting = replace(held, state=WAITING, sequence=last + 1, hold_time=now, due_time=now)
        await self._store.replace(replace(waiting, attempts=0, tries=0, tried_time=None, claim=""), version)

    async def drop(self, id: str) -> None:
        """Let go of a dead letter for good. Raises ``HeldEventMissing``, ``NotDead`` and ``VersionConflict``."""
        _, version = await self._dead(id)
        await self._store.delete(id, version)

    async def list(self, state: State = DEAD, limit: int = 50, token: str = "") -> tuple[list[HeldEvent], str]:
        """Return held events, the newest first, and the token of the next page."""
        page = await self._store.page(equal("state", state), order="-hold_time", limit=limit, token=token)
        return [from_body(document.id, document.body) for document in page.documents], page.next_token

    def _new(self, record: Record, sequence: int) -> HeldEvent:
        kept, cut = keepable(record)
        now = self._clock.now()
        return HeldEvent(record.held_id(self.service), WAITING, kept, record.lane, sequence, now, now, cut=cut)

    async def _add(self, held: HeldEvent) -> HeldEvent:
        try:
            await self._store.insert(held)
        except DocumentExists:
            # It came a second time; the first one goes its way.
            found = await self._store.find(held.id)
            return held if found is None else found[0]
        return held

    async def _mend_times(self, state: State) -> None:
        now = self._clock.now()
        for held, version in await self._store.some(equal("state", state), order="-due_time", limit=SWEEP_PAGE):
            if held.due_time is not None and held.due_time > now + MAX_DELAY_S + CLAIM_S:
                mended = replace(held, due_time=now, hold_time=min(held.hold_time, now))
                tried_time = None if held.tried_time is None else min(held.tried_time, now)
                await self._write_if_still(replace(mended, tried_time=tried_time), version)

    async def _write_if_still(self, held: HeldEvent, version: int) -> None:
        try:
            await self._store.replace(held, version)
        except (VersionConflict, DocumentMissing):
            return  # somebody is at it

    async def _dead(self, id: str) -> tuple[HeldEvent, int]:
        held, version = await self._get(id)
        if held.state != DEAD:
            raise NotDead(id=id)
        return held, version

    async def _get(self, id: str) -> tuple[HeldEvent, int]:
        found = await self._store.find(id)
        if found is None:
            raise HeldEventMissing(consumer=self.service, id=id)
        return found
