"""What the use cases need."""

from __future__ import annotations

from typing import Protocol

from continuity.kernel.values import Change
from services.vision.domain.analysis import AnalysisRecord, Observations


class Analyses(Protocol):
    """The answers that were given."""

    async def add(self, project: str, change: Change[AnalysisRecord]) -> None:
        """Write an answer; nothing happens when this version of the character has one."""
        ...

    async def tell_again(self, project: str, character_id: str, version: int) -> bool:
        """Tell the answer to this version of the character once more; False when there is none."""
        ...

    async def latest(self, project: str, character_id: str) -> AnalysisRecord:
        """Return the newest answer for a character. Raises ``AnalysisMissing``."""
        ...


class Analyzer(Protocol):
    """Looks at photographs."""

    name: str

    async def look(self, picture: bytes) -> Observations:
        """Return what is seen in an upright picture (PNG). Raises ``ContinuityError``."""
        ...


class Pictures(Protocol):
    """Reads the bytes of photographs."""

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        ...
