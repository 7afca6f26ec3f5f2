"""Drive on whatever stands still. The start of a process is such a moment too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count

from continuity.kernel.clock import Clock
from continuity.kernel.looks import look_at_each
from continuity.kernel.values import Change
from services.rendering.domain.job import LOOKED_AT, READY, REQUESTED, WAITING, Deadlines, Job, expired, looked_at
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.observer import UNOBSERVED, Observer
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs, OwnedJob, OwnedSubmission, Submissions
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.work import WorkSignal

INTERVAL_S = 1.0
BATCH = 500
"""Jobs of each state that one look takes on; what is left is the first to be due at the next."""
FAR_BATCH, FAR_TURNS = 100, 30
SUBMISSIONS = 10
FAN_OUT_GRACE_S = 10.0


@dataclass
class Reconcile:
    """Looks at every stage that a job can be stuck in but the lease, which ``LapsedLeases`` looks at."""

    submissions: Submissions
    jobs: Jobs
    submit: SubmitShots
    freeze: FreezeCast
    progress: Progress
    clock: Clock
    signal: WorkSignal
    deadlines: Deadlines
    observer: Observer = UNOBSERVED
    _fan_out_token: str = ""
    """Where the next look goes on: those that cannot be fanned out are not to keep the later ones from it."""

    async def run(self) -> None:
        """Look again every second until cancelled."""
        for turn in count():
            await self()
            if turn % FAR_TURNS == 0:
                await self.look_ahead()
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        now = self.clock.now()
        cut_off, self._fan_out_token = await self.submissions.unfinished(
            now - FAN_OUT_GRACE_S, SUBMISSIONS, self._fan_out_token
        )
        await look_at_each([self._fan_out(owned) for owned in cut_off])
        await look_at_each([self.freeze.go_on()])
        for state in LOOKED_AT:
            await look_at_each([self._look(owned, now) for owned in await self.jobs.due(state, now, BATCH)])

    async def look_ahead(self) -> None:
        """Look at what was put far ahead by a clock that was wrong, and at what an older version gave no time."""
        now = self.clock.now()
        for state in LOOKED_AT:
            last = await self.jobs.last_due(state, FAR_BATCH) + await self.jobs.astray(state, BATCH)
            await look_at_each([self._look(owned, now) for owned in last if owned.job.is_due(now)])

    async def _fan_out(self, owned: OwnedSubmission) -> None:
        with self.observer.continuing(owned.traceparent):
            await self.submit.fan_out(owned.project, owned.submission)

    async def _look(self, owned: OwnedJob, now: float) -> None:
        if owned.job.state == WAITING and expired(owned.job, now) is None:
            await self.freeze(owned.project, owned.job)
        unpublished = owned.job.state == REQUESTED and await self.jobs.has_unpublished(owned.project, owned.job.id)

        def look(job: Job) -> Change[Job] | None:
            return looked_at(job, now, self.deadlines, unpublished=unpublished)

        job = await self.jobs.change(owned.project, owned.job.id, look)
        if job.state != owned.job.state:
            await self.progress.tell(owned.project, job)
        if job.state == READY:
            self.signal.there_is_work()
