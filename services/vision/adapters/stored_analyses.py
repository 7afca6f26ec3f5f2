"""Analyses in the document store."""

from __future__ import annotations

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, equal
from continuity.kernel.ids import derived_id
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.vision.domain.analysis import AnalysisRecord, answered
from services.vision.domain.errors import AnalysisMissing

ANALYSES = Collection("analyses", listings=(("character_id", "-version"),))


class StoredAnalyses:
    """The ``Analyses`` port."""

    def __init__(self, aggregates: Aggregates[AnalysisRecord]) -> None:
        self._aggregates = aggregates

    async def add(self, project: str, change: Change[AnalysisRecord]) -> None:
        """Write an answer; nothing happens when this version of the character has one."""
        record = change.aggregate
        try:
            await self._aggregates.add(project, _id(record.character_id, record.version), change)
        except DocumentExists:
            return

    async def tell_again(self, project: str, character_id: str, version: int) -> bool:
        """Tell the answer to this version of the character once more; False when there is none."""
        try:
            await self._aggregates.change(project, _id(character_id, version), answered)
        except DocumentMissing:
            return False
        return True

    async def latest(self, project: str, character_id: str) -> AnalysisRecord:
        """Return the newest answer for a character. Raises ``AnalysisMissing``."""
        found, _ = await self._aggregates.page(
            [equal("character_id", character_id)], project=project, order=["-version"], limit=1
        )
        if not found:
            raise AnalysisMissing(character_id=character_id)
        return found[0].aggregate


def _id(character_id: str, version: int) -> str:
    return derived_id("analysis", character_id, version)
