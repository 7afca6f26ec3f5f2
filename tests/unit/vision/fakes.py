"""Ports of the vision service, kept in memory."""

from __future__ import annotations

from continuity.kernel.values import Change
from services.vision.domain.analysis import AnalysisRecord, Observations, answered
from services.vision.domain.errors import AnalysisMissing, PictureUnusable


class InMemoryAnalyses:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, int], AnalysisRecord] = {}
        self.events: list[object] = []

    async def add(self, project: str, change: Change[AnalysisRecord]) -> None:
        record = change.aggregate
        key = (project, record.character_id, record.version)
        if key not in self.stored:
            self.stored[key] = record
            self.events += change.events

    async def tell_again(self, project: str, character_id: str, version: int) -> bool:
        record = self.stored.get((project, character_id, version))
        if record is not None:
            self.events += answered(record).events
        return record is not None

    async def latest(self, project: str, character_id: str) -> AnalysisRecord:
        versions = [key[2] for key in self.stored if key[:2] == (project, character_id)]
        if not versions:
            raise AnalysisMissing(character_id=character_id)
        return self.stored[project, character_id, max(versions)]


class FixedAnalyzer:
    """Sees the same in every picture but ``b"flat"``."""

    name = "fake 1"

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self.looks = 0

    async def look(self, picture: bytes) -> Observations:
        self.looks += 1
        if picture == b"flat":
            raise PictureUnusable(cause="it is flat")
        return self.observations


class PicturesByKey:
    async def read(self, key: str) -> bytes:
        return key.encode()
