"""The cast projection in the document store."""

from __future__ import annotations

from continuity.documents.port import Collection, DocumentExists, DocumentMissing
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.rendering.domain.cast import CastEntry

CAST = Collection("cast")


class StoredCast:
    """The ``Cast`` port."""

    def __init__(self, aggregates: Aggregates[CastEntry]) -> None:
        self._aggregates = aggregates

    async def find(self, project: str, id: str) -> CastEntry | None:
        """Return the newest entry, deleted or not; None when nothing was told of this id."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            return None

    async def learn(self, project: str, entry: CastEntry) -> None:
        """Keep the entry unless a newer one is known."""
        try:
            await self._aggregates.add(project, entry.id, Change(entry))
        except DocumentExists:
            await self._aggregates.change(
                project, entry.id, lambda known: Change(entry) if entry.version > known.version else None
            )
