"""Accept shots and fan them out into jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.ids import derived_id, new_id
from continuity.kernel.values import Change
from services.rendering.domain.errors import RequestReused
from services.rendering.domain.job import Job, submitted
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, Submission
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.ports import Jobs, Submissions

BATCH = 100


@dataclass(frozen=True)
class ShotsAsked:
    """What the caller asks for; 0 px means the default size."""

    request_id: str
    film: str
    shots: tuple[Shot, ...]
    seed: int
    priority: int
    width_px: int
    height_px: int


@dataclass(frozen=True)
class SubmitShots:
    """The submission is durable before anything else happens; its fan-out can be done again at any time."""

    submissions: Submissions
    jobs: Jobs
    freeze: FreezeCast
    clock: Clock

    async def __call__(self, project: str, asked: ShotsAsked) -> tuple[Submission, list[Job]]:
        """Return the submission and its jobs, in the order of the shots. Raises ``RequestReused``."""
        id = derived_id("submission", project, asked.request_id) if asked.request_id else new_id()
        submission = Submission(
            id=id,
            film=asked.film,
            shots=asked.shots,
            seed=asked.seed,
            priority=asked.priority,
            width_px=asked.width_px or DEFAULT_WIDTH_PX,
            height_px=asked.height_px or DEFAULT_HEIGHT_PX,
            create_time=self.clock.now(),
        )
        if not await self.submissions.add(project, submission):
            submission = await self._same(project, submission, asked.request_id)
        await self.fan_out(project, submission)
        return submission, await self.jobs.of_submission(project, submission.id)

    async def fan_out(self, project: str, submission: Submission) -> None:
        """Make the jobs that are missing; doing it twice makes them once."""
        if submission.fanned_out:
            return
        now = self.clock.now()
        jobs = [submitted(submission, position, now) for position in range(len(submission.shots))]
        for start in range(0, len(jobs), BATCH):
            await self._add(project, jobs[start : start + BATCH])
        await self.submissions.fanned_out(project, submission.id)

    async def _add(self, project: str, jobs: Sequence[Job]) -> None:
        await asyncio.gather(*(self._add_one(project, job) for job in jobs))

    async def _add_one(self, project: str, job: Job) -> None:
        change = await self.freeze.decide(project, job) or Change(job)
        if await self.jobs.add(project, change) and change.aggregate.waiting_for:
            # Who was missing may have become ready between the look and the write.
            await self.freeze(project, change.aggregate)

    async def _same(self, project: str, submission: Submission, request_id: str) -> Submission:
        earlier = await self.submissions.get(project, submission.id)
        if earlier.content_hash != submission.content_hash:
            raise RequestReused(request_id=request_id)
        return earlier
