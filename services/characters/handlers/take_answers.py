"""Take what vision and matting answer; when both have, the character is READY."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.values import Change, Failure, ObjectRef
from services.characters.domain.character import (
    Character,
    analysis_failed,
    analyzed,
    matted,
    matting_failed,
)
from services.characters.domain.errors import CharacterMissing
from services.characters.handlers.ports import Characters


@dataclass(frozen=True)
class TakeAnswers:
    """Applies answers in whatever order they come."""

    characters: Characters
    clock: Clock

    async def matted(self, project: str, id: str, matte: ObjectRef, background_kept: bool) -> None:
        """Take a matte."""
        await self._apply(project, id, lambda character: matted(character, matte, background_kept, self.clock.now()))

    async def matting_failed(self, project: str, id: str, failure: Failure) -> None:
        """Take the reason why there is no matte."""
        await self._apply(project, id, lambda character: matting_failed(character, failure, self.clock.now()))

    async def analyzed(self, project: str, id: str, analysis: str) -> None:
        """Take an analysis."""
        await self._apply(project, id, lambda character: analyzed(character, analysis, self.clock.now()))

    async def analysis_failed(self, project: str, id: str, failure: Failure) -> None:
        """Take the reason why there is no analysis."""
        await self._apply(project, id, lambda character: analysis_failed(character, failure, self.clock.now()))

    async def give_up_matte(self, project: str, id: str, failure: Failure) -> None:
        """Take the reason why matting's answer cannot be taken; nothing happens where there is no character."""
        with suppress(CharacterMissing):
            await self.matting_failed(project, id, failure)

    async def give_up_analysis(self, project: str, id: str, failure: Failure) -> None:
        """Take the reason why vision's answer cannot be taken; nothing happens where there is no character."""
        with suppress(CharacterMissing):
            await self.analysis_failed(project, id, failure)

    async def _apply(self, project: str, id: str, decide: Callable[[Character], Change[Character] | None]) -> None:
        await self.characters.change(project, id, decide)
