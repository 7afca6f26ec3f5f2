"""Build the prompt of a requested shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import Failure
from services.prompts.domain.build import build_prompt
from services.prompts.domain.record import built, failed
from services.prompts.domain.shot import CastMember, Location, Shot
from services.prompts.domain.vocabulary import Kind, Vocabulary
from services.prompts.handlers.ports import Prompts


@dataclass(frozen=True)
class PromptAsked:
    """A shot with everything that its prompt depends on. Nobody wants the prompt after ``expire_time``."""

    job_id: str
    shot: Shot
    cast: Sequence[CastMember]
    location: Location
    film_seed: int
    expire_time: float | None = None


@dataclass(frozen=True)
class BuildPrompts:
    """Answers every job once; it asks nobody, because the request carries everything."""

    prompts: Prompts
    vocabulary: Vocabulary
    clock: Clock

    async def __call__(self, project: str, asked: PromptAsked) -> None:
        """Build, or record why it cannot be done. What has expired is left alone: its job ends by itself."""
        if asked.expire_time is not None and asked.expire_time <= self.clock.now():
            return
        try:
            prompt = build_prompt(asked.shot, asked.cast, asked.location, self.vocabulary, film_seed=asked.film_seed)
            change = built(asked.job_id, prompt, self._own_words(asked.shot))
        except ContinuityError as error:
            change = failed(asked.job_id, Failure.of(error))
        await self.prompts.answer(project, change)

    def _own_words(self, shot: Shot) -> dict[str, str]:
        words = {kind: getattr(shot, kind, None) for kind in Kind}
        own = {kind.value: self.vocabulary.term(kind, word).word for kind, word in words.items() if word}
        return own | {"style": self.vocabulary.style(shot.style).name}

    async def give_up(self, project: str, job_id: str, failure: Failure) -> None:
        """Record why there is no prompt."""
        await self.prompts.answer(project, failed(job_id, failure))
