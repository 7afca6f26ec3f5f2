"""Mattes in the document store."""

from __future__ import annotations

from continuity.documents.port import Collection, DocumentExists, equal
from continuity.kernel.ids import derived_id
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.matting.domain.errors import MatteMissing
from services.matting.domain.matte import MatteRecord

MATTE = "matte.key"
MATTES = Collection("mattes", indexes=((MATTE,),), listings=(("character_id", "-version"),))


class StoredMattes:
    """The ``Mattes`` port."""

    def __init__(self, aggregates: Aggregates[MatteRecord]) -> None:
        self._aggregates = aggregates

    async def add(self, project: str, change: Change[MatteRecord]) -> None:
        """Write an answer; nothing happens when this version of the character has one."""
        record = change.aggregate
        id = derived_id("matte", record.character_id, record.version)
        try:
            await self._aggregates.add(project, id, change)
        except DocumentExists:
            return

    async def latest(self, project: str, character_id: str) -> MatteRecord:
        """Return the newest answer for a character. Raises ``MatteMissing``."""
        found, _ = await self._aggregates.page(
            [equal("character_id", character_id)], project=project, order=["-version"], limit=1
        )
        if not found:
            raise MatteMissing(character_id=character_id)
        return found[0].aggregate
