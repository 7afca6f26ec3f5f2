"""What the use cases need."""

from __future__ import annotations

from typing import Protocol

from continuity.kernel.values import Change
from services.prompts.domain.record import PromptRecord


class Prompts(Protocol):
    """The answers that were given."""

    async def answer(self, project: str, change: Change[PromptRecord]) -> None:
        """Write an answer and tell of it; when the job has one already, that one is told again."""
        ...

    async def get(self, project: str, job_id: str) -> PromptRecord:
        """Return the answer to a job. Raises ``PromptMissing``."""
        ...
