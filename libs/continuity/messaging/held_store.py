"""The documents of held events: one collection a service, in the service's own store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from continuity.documents.port import Collection, Condition, Document, DocumentMissing, Documents, Page, equal
from continuity.kernel.clock import Clock
from continuity.messaging.held_event import WAITING, HeldEvent, from_body, to_body

EVERY_PROJECT = "held"
"""Held events are the operator's, not a project's; each knows its own from its headers."""


def held_collection(service: str) -> Collection:
    """Return the collection of a service's held events."""
    listings = (
        ("state", "due_time"),
        ("state", "lane", "sequence"),
        ("state", "-hold_time"),
        ("state", "record.topic", "hold_time"),
    )
    return Collection(f"{service}_held_events", indexes=(("due_time",),), listings=listings)


class HeldStore:
    """Reads and writes held events, and tells when the next is due of those that this process has written."""

    def __init__(self, documents: Documents, service: str, clock: Clock) -> None:
        self.collection = held_collection(service)
        self.documents = documents
        self._clock = clock
        self._changed = asyncio.Event()
        self._soonest: float | None = None

    async def insert(self, held: HeldEvent) -> None:
        """Write a new one. Raises ``DocumentExists``."""
        await self.documents.insert(self.collection, Document(EVERY_PROJECT, held.id, 0, to_body(held)))
        self._due(held)

    async def replace(self, held: HeldEvent, version: int) -> None:
        """Write over a version. Raises ``VersionConflict`` and ``DocumentMissing``."""
        await self.documents.replace(self.collection, Document(EVERY_PROJECT, held.id, version, to_body(held)))
        self._due(held)

    async def delete(self, id: str, version: int | None = None) -> None:
        """Let go of one, whatever has become of it, or as it was at a version. Raises ``VersionConflict``."""
        await self.documents.delete(self.collection, EVERY_PROJECT, id, version)

    async def find(self, id: str) -> tuple[HeldEvent, int] | None:
        """Return one and its version; None when it is gone."""
        try:
            document = await self.documents.get(self.collection, EVERY_PROJECT, id)
        except DocumentMissing:
            return None
        return from_body(id, document.body), document.version

    async def count(self, *where: Condition, limit: int) -> int:
        """Return how many meet the conditions, ``limit`` when there are more."""
        return await self.documents.count(self.collection, where, project=EVERY_PROJECT, limit=limit)

    async def page(self, *where: Condition, order: str, limit: int, token: str = "") -> Page:
        """Return those that meet the conditions."""
        return await self.documents.page(
            self.collection, where, project=EVERY_PROJECT, order=[order], limit=limit, token=token
        )

    async def some(self, *where: Condition, order: str, limit: int) -> Sequence[tuple[HeldEvent, int]]:
        """Return the first that meet the conditions, with their versions."""
        page = await self.page(*where, order=order, limit=limit)
        return [(from_body(document.id, document.body), document.version) for document in page.documents]

    async def in_lane(self, lane: str, order: str, limit: int) -> Sequence[tuple[HeldEvent, int]]:
        """Return the first that wait in a lane, with their versions."""
        return await self.some(equal("state", WAITING), equal("lane", lane), order=order, limit=limit)

    async def until_due(self, most_s: float) -> None:
        """Return when there may be something to do."""
        if self._soonest is not None:
            most_s = min(most_s, max(0.0, self._soonest - self._clock.now()))
        self._soonest = None
        try:
            async with asyncio.timeout(most_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _due(self, held: HeldEvent) -> None:
        if held.due_time is not None:
            self._soonest = held.due_time if self._soonest is None else min(self._soonest, held.due_time)
            self._changed.set()
