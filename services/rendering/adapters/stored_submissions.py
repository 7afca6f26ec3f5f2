"""Submissions in the document store."""

from __future__ import annotations

from dataclasses import replace

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, at_most, equal
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.rendering.domain.submission import Submission
from services.rendering.handlers.stores import OwnedSubmission

SUBMISSIONS = Collection("submissions", indexes=(("fanned_out", "create_time"),))


class StoredSubmissions:
    """The ``Submissions`` port."""

    def __init__(self, aggregates: Aggregates[Submission]) -> None:
        self._aggregates = aggregates

    async def add(self, project: str, submission: Submission) -> bool:
        """Write a new submission; false when its id exists already."""
        try:
            await self._aggregates.add(project, submission.id, Change(submission))
        except DocumentExists:
            return False
        return True

    async def find(self, project: str, id: str) -> Submission | None:
        """Return a submission; None when there is none."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            return None

    async def fanned_out(self, project: str, id: str) -> None:
        """Note that every job exists."""
        await self._aggregates.change(project, id, lambda submission: Change(replace(submission, fanned_out=True)))

    async def unfinished(self, before: float, limit: int, token: str) -> tuple[list[OwnedSubmission], str]:
        """Return submissions of every project that are older than a time and not fanned out, and the next page's token.

        The oldest come first.
        """
        where = [equal("fanned_out", False), at_most("create_time", before)]
        found, next_token = await self._aggregates.page(
            where, project=None, order=["create_time"], limit=limit, token=token
        )
        owned = [OwnedSubmission(stored.project, stored.aggregate, stored.traceparent) for stored in found]
        return owned, next_token
