"""The order of the queue in the document store: a document for each project's line, one for each priority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from continuity.documents.port import Collection, DocumentExists, DocumentMissing
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.rendering.domain.fair_queue import QueueTail

QUEUES = Collection("render_queues")
DRAWN = Collection("render_queues_drawn")
EVERYBODY = ""
"""The project of what belongs to none."""


@dataclass(frozen=True)
class Drawn:
    """How far the queue of one priority has been drawn."""

    tag: int


class StoredQueues:
    """The ``Queues`` port."""

    def __init__(self, tails: Aggregates[QueueTail], drawn: Aggregates[Drawn]) -> None:
        self._tails = tails
        self._drawn = drawn

    async def tail(self, project: str, priority: int) -> QueueTail:
        """Return the end of a project's line."""
        try:
            return await self._tails.get(project, str(priority))
        except DocumentMissing:
            return QueueTail()

    async def extend(self, project: str, priority: int, decide: Callable[[QueueTail], QueueTail]) -> QueueTail:
        """Replace the end of a project's line by a decision, which is made again when somebody else was first."""
        try:
            return await self._tails.change(project, str(priority), lambda tail: Change(decide(tail)))
        except DocumentMissing:
            return await self._begin(project, priority, decide)

    async def drawn(self, priority: int) -> int:
        """Return the greatest tag that was told to have been drawn; 0 when none was."""
        try:
            return (await self._drawn.get(EVERYBODY, str(priority))).tag
        except DocumentMissing:
            return 0

    async def tell_drawn(self, priority: int, tag: int) -> None:
        """Tell that a tag was drawn."""

        def further(known: Drawn) -> Change[Drawn] | None:
            return Change(Drawn(tag)) if tag > known.tag else None

        try:
            await self._drawn.change(EVERYBODY, str(priority), further)
        except DocumentMissing:
            try:
                await self._drawn.add(EVERYBODY, str(priority), Change(Drawn(tag)))
            except DocumentExists:
                await self._drawn.change(EVERYBODY, str(priority), further)

    async def _begin(self, project: str, priority: int, decide: Callable[[QueueTail], QueueTail]) -> QueueTail:
        first = decide(QueueTail())
        try:
            await self._tails.add(project, str(priority), Change(first))
        except DocumentExists:
            return await self._tails.change(project, str(priority), lambda tail: Change(decide(tail)))
        return first
