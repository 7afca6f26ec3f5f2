"""Drive on whatever stands still. The start of a process is such a moment too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from continuity.kernel.clock import Clock
from continuity.kernel.values import Change, Failure
from services.rendering.domain.errors import CastIncomplete
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import REQUESTED, WAITING, Job, failed, requested
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.ports import Jobs, OwnedJob, Progress, Submissions
from services.rendering.handlers.submit_shots import SubmitShots

INTERVAL_S = 2.0
BATCH = 500
FAN_OUT_GRACE_S = 10.0
CAST_GRACE_S = 2.0
PROMPT_GRACE_S = 60.0


@dataclass(frozen=True)
class Reconcile:
    """Looks at every stage that a job can be stuck in; leases lapse by themselves."""

    submissions: Submissions
    jobs: Jobs
    submit: SubmitShots
    freeze: FreezeCast
    progress: Progress
    clock: Clock
    cast_deadline_s: float

    async def run(self) -> None:
        """Look again every two seconds until cancelled."""
        while True:
            await self()
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        now = self.clock.now()
        for project, submission in await self.submissions.unfinished(now - FAN_OUT_GRACE_S, BATCH):
            await self.submit.fan_out(project, submission)
        for owned in await self.jobs.standing(WAITING, now - CAST_GRACE_S, BATCH):
            await self._wait_on(owned, now)
        for owned in await self.jobs.standing(REQUESTED, now - PROMPT_GRACE_S, BATCH):
            await self._ask_again(owned, now)

    async def _wait_on(self, owned: OwnedJob, now: float) -> None:
        await self.freeze(owned.project, owned.job)
        if now - owned.job.create_time < self.cast_deadline_s:
            return

        def give_up(job: Job) -> Change[Job] | None:
            lacks = CastIncomplete(missing=job.waiting_for or "", limit_s=self.cast_deadline_s)
            return failed(job, Failure.of(lacks), now) if job.state == WAITING else None

        job = await self.jobs.change(owned.project, owned.job.id, give_up)
        await self.progress.tell(owned.project, RenderProgressed(job.id, job.state))

    async def _ask_again(self, owned: OwnedJob, now: float) -> None:
        def again(job: Job) -> Change[Job] | None:
            return Change(replace(job, update_time=now), [requested(job)]) if job.state == REQUESTED else None

        await self.jobs.change(owned.project, owned.job.id, again)
