"""Look at a new photograph."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.values import Failure
from services.vision.domain.analysis import Analysis, not_seen, seen
from services.vision.domain.words import roster_entry
from services.vision.handlers.ports import Analyses, Analyzer, Pictures


@dataclass(frozen=True)
class AnalyzeCharacter:
    """Looks at every photograph once, and answers as often as it is asked, well or badly."""

    analyses: Analyses
    analyzer: Analyzer
    pictures: Pictures

    async def __call__(self, project: str, character_id: str, version: int, name: str, picture_key: str) -> None:
        """Look at the picture and record what is seen, or tell it again. Raises what the analyser does."""
        if await self.analyses.tell_again(project, character_id, version):
            return
        observations = await self.analyzer.look(await self.pictures.read(picture_key))
        analysis = Analysis((roster_entry(name, observations),), observations, self.analyzer.name)
        await self.analyses.add(project, seen(character_id, version, analysis))

    async def give_up(self, project: str, character_id: str, version: int, failure: Failure) -> None:
        """Record why nothing is seen."""
        await self.analyses.add(project, not_seen(character_id, version, failure))
