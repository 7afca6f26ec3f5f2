"""Accept shots and fan them out into jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.kernel.ids import derived_id, new_id
from continuity.kernel.values import Change
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.errors import RequestReused
from services.rendering.domain.job import Job, handed_over, submitted
from services.rendering.domain.render_options import RenderOptions
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX, Submission
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.stores import Jobs, Submissions

BATCH = 100


@dataclass(frozen=True)
class ShotsAsked:
    """What the caller asks for; 0 px means the default size, ``time_to_live`` is in seconds, None for ever."""

    request_id: str
    film: str
    shots: tuple[Shot, ...]
    seed: int
    priority: int
    width_px: int
    height_px: int
    time_to_live: float | None = None
    options: RenderOptions | None = None
    commercial: bool = False


@dataclass(frozen=True)
class SubmitShots:
    """The submission is durable before anything else happens; its fan-out can be done again at any time.

    ``accept_options`` raises ``InvalidValue`` for options that nothing can be drawn with. What is accepted here is
    drawn by ``renderer`` alone; asked for again where another one draws, what has not begun is drawn by that one.
    """

    submissions: Submissions
    jobs: Jobs
    freeze: FreezeCast
    queue: FairQueue
    admission: Admission
    clock: Clock
    accept_options: Callable[[str, Submission], Awaitable[None]]
    notes: set[asyncio.Task[None]] = field(default_factory=set)
    renderer: str | None = None

    async def __call__(self, project: str, asked: ShotsAsked) -> tuple[Submission, list[Job]]:
        """Return the submission and its jobs, in the order of the shots.

        Raises ``InvalidValue``, ``RequestReused`` and ``QueueFull``.
        """
        wanted = self._submission(project, asked)
        accepted = await self.submissions.find(project, wanted.id) if asked.request_id else None
        if accepted is not None:
            return accepted, await self._again(project, accepted, wanted, asked.request_id)
        await self.accept_options(project, wanted)
        async with self.admission.admitted(project, len(wanted.shots)):
            tag = await self.queue.reserve(project, wanted.id, wanted.priority, len(wanted.shots))
            wanted = replace(wanted, first_tag=tag)
            if await self.submissions.add(project, wanted):
                return wanted, await self.fan_out(project, wanted)
        return await self(project, asked)

    async def fan_out(self, project: str, submission: Submission) -> list[Job]:
        """Make the jobs that are missing and return all; doing it twice makes them once."""
        if submission.fanned_out:
            return await self._jobs(project, submission)
        now = self.clock.now()
        wanted = [submitted(submission, position, now) for position in range(len(submission.shots))]
        cast: dict[str, CastEntry | None] = {}
        made: list[Job | None] = []
        for start in range(0, len(wanted), BATCH):
            made += await self._add(project, wanted[start : start + BATCH], cast)
        self._note_fanned_out(project, submission.id)
        jobs = [job for job in made if job is not None]
        return jobs if len(jobs) == len(wanted) else await self._jobs(project, submission)

    async def _jobs(self, project: str, submission: Submission) -> list[Job]:
        return await self.jobs.several(project, [submission.job_id(shot) for shot in submission.shots])

    def _note_fanned_out(self, project: str, submission_id: str) -> None:
        """Note that all jobs exist, for which nobody needs to wait: else the reconciler finds that they do."""

        async def note() -> None:
            with contextlib.suppress(ContinuityError):
                await self.submissions.fanned_out(project, submission_id)

        task = asyncio.create_task(note())
        self.notes.add(task)
        task.add_done_callback(self.notes.discard)

    async def _add(self, project: str, batch: list[Job], cast: dict[str, CastEntry | None]) -> list[Job | None]:
        """Return each job as it was made; None when it is another by now."""
        changes = [await self.freeze.decide(project, job, cast) or Change(job) for job in batch]
        added = await self.jobs.add_each(project, changes)
        return [
            await self._as_made(project, each.aggregate) if each.aggregate.id in added else None for each in changes
        ]

    async def _as_made(self, project: str, job: Job) -> Job | None:
        # Who was missing may have become ready between the look and the write.
        return None if job.waiting_for and await self.freeze(project, job) else job

    async def _again(self, project: str, accepted: Submission, wanted: Submission, request_id: str) -> list[Job]:
        if accepted.content_hash != wanted.content_hash:
            raise RequestReused(request_id=request_id)
        jobs = await self.fan_out(project, accepted)
        if all(handed_over(job, self.renderer, job.update_time) is None for job in jobs):
            return jobs
        await self.accept_options(project, wanted)
        return [await self._handed_over(project, job) for job in jobs]

    async def _handed_over(self, project: str, job: Job) -> Job:
        now = self.clock.now()
        if handed_over(job, self.renderer, now) is None:
            return job
        return await self.jobs.change(project, job.id, lambda it: handed_over(it, self.renderer, now))

    def _submission(self, project: str, asked: ShotsAsked) -> Submission:
        return Submission(
            id=derived_id("submission", project, asked.request_id) if asked.request_id else new_id(),
            film=asked.film,
            shots=asked.shots,
            seed=asked.seed,
            priority=asked.priority,
            width_px=asked.width_px or DEFAULT_WIDTH_PX,
            height_px=asked.height_px or DEFAULT_HEIGHT_PX,
            create_time=self.clock.now(),
            time_to_live=asked.time_to_live,
            options=asked.options,
            commercial=asked.commercial,
            renderer=self.renderer,
        )
