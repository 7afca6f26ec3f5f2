"""Prompts in the document store."""

from __future__ import annotations

from continuity.documents.port import Collection, DocumentExists, DocumentMissing
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.prompts.domain.errors import PromptMissing
from services.prompts.domain.record import PromptRecord, answered

PROMPTS = Collection("prompts")


class StoredPrompts:
    """The ``Prompts`` port."""

    def __init__(self, aggregates: Aggregates[PromptRecord]) -> None:
        self._aggregates = aggregates

    async def answer(self, project: str, change: Change[PromptRecord]) -> None:
        """Write an answer and tell of it; when the job has one already, that one is told again."""
        id = change.aggregate.job_id
        try:
            await self._aggregates.add(project, id, change)
        except DocumentExists:
            await self._aggregates.change(project, id, answered)

    async def get(self, project: str, job_id: str) -> PromptRecord:
        """Return the answer to a job. Raises ``PromptMissing``."""
        try:
            return await self._aggregates.get(project, job_id)
        except DocumentMissing:
            raise PromptMissing(job_id=job_id) from None
