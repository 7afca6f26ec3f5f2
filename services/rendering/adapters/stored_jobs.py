"""Jobs in the document store; the queue is a query over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from continuity.documents.port import Collection, Condition, DocumentExists, DocumentMissing, at_most, equal, one_of
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates, Stored
from services.rendering.domain.errors import JobMissing
from services.rendering.domain.job import READY, RENDERING, UNFINISHED, Job
from services.rendering.handlers.ports import OwnedJob

JOBS = Collection(
    "jobs",
    indexes=(
        ("state", "queue_key"),
        ("state", "lease_until"),
        ("state", "update_time"),
        ("submission_id", "queue_key"),
        ("waiting_for",),
    ),
)


class StoredJobs:
    """The ``Jobs`` port."""

    def __init__(self, aggregates: Aggregates[Job]) -> None:
        self._aggregates = aggregates

    async def get(self, project: str, id: str) -> Job:
        """Return a job. Raises ``JobMissing``."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            raise JobMissing(job_id=id) from None

    async def add(self, project: str, change: Change[Job]) -> bool:
        """Write a new job; false when it exists already."""
        try:
            await self._aggregates.add(project, change.aggregate.id, change)
        except DocumentExists:
            return False
        return True

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        """Change a job by a decision. Raises ``JobMissing`` and what the decision raises."""
        try:
            return await self._aggregates.change(project, id, decide)
        except DocumentMissing:
            raise JobMissing(job_id=id) from None

    async def of_submission(self, project: str, submission_id: str) -> list[Job]:
        """Return all jobs of a submission in the order of its shots."""
        found, _ = await self._aggregates.page(
            [equal("submission_id", submission_id)], project=project, order=["queue_key"], limit=2_000
        )
        return [stored.aggregate for stored in found]

    async def page(self, project: str, state: str, submission_id: str, limit: int, token: str) -> tuple[list[Job], str]:
        """Return jobs, newest first; an empty state or submission means every one."""
        where = [equal("state", state)] if state else []
        where += [equal("submission_id", submission_id)] if submission_id else []
        found, next_token = await self._aggregates.page(
            where, project=project, order=["-create_time", "queue_key"], limit=limit, token=token
        )
        return [stored.aggregate for stored in found], next_token

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        """Return jobs whose cast lacks this character or location."""
        return await self._owned([equal("waiting_for", id)], project, ["queue_key"], limit)

    async def standing(self, state: str, before: float, limit: int) -> list[OwnedJob]:
        """Return jobs of every project in a state since before a time (seconds since the epoch)."""
        where = [equal("state", state), at_most("update_time", before)]
        return await self._owned(where, None, ["update_time"], limit)

    async def ahead_of(self, job: Job) -> int:
        """Return how many jobs stand before a READY job."""
        where = [equal("state", READY), at_most("queue_key", job.queue_key - 1)]
        return await self._aggregates.count(where, project=None)

    async def unfinished(self) -> int:
        """Return how many jobs of every project are not finished."""
        return await self._aggregates.count([one_of("state", UNFINISHED)], project=None)

    async def lease_next(self, now: float, until: float, token: str) -> OwnedJob | None:
        """Take the first job of the queue as RENDERING under the token; None when none is due."""
        due = [equal("state", READY), at_most("not_before", now)]
        return await self._lease(due, ["queue_key"], now, until, token)

    async def take_over_lapsed(self, now: float, until: float, token: str) -> OwnedJob | None:
        """Take a job whose lease has lapsed; None when there is none."""
        lapsed = [equal("state", RENDERING), at_most("lease_until", now)]
        return await self._lease(lapsed, ["lease_until"], now, until, token)

    async def _lease(
        self, where: Sequence[Condition], order: Sequence[str], now: float, until: float, token: str
    ) -> OwnedJob | None:
        lease = {"state": RENDERING, "lease_token": token, "lease_until": until, "started_time": now}
        stored = await self._aggregates.claim(where, order, {**lease, "update_time": now})
        return None if stored is None else _owned(stored)

    async def _owned(
        self, where: Sequence[Condition], project: str | None, order: Sequence[str], limit: int
    ) -> list[OwnedJob]:
        found, _ = await self._aggregates.page(where, project=project, order=order, limit=limit)
        return [_owned(stored) for stored in found]


def _owned(stored: Stored[Job]) -> OwnedJob:
    return OwnedJob(stored.project, stored.aggregate)
