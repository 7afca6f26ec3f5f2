"""Drive on whatever stands still. The start of a process is such a moment too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from itertools import count

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import LOOKED_AT, READY, WAITING, expired, looked_at
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.observer import UNOBSERVED, Observer
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs, OwnedJob, OwnedSubmission, Submissions
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.work import WorkSignal

_log = logging.getLogger(__name__)

INTERVAL_S = 1.0
BATCH = 500
"""Jobs of each state that one look takes on; what is left is the first to be due at the next."""
FAR_BATCH, FAR_TURNS = 100, 30
SUBMISSIONS = 10
FAN_OUT_GRACE_S = 10.0


@dataclass(frozen=True)
class Reconcile:
    """Looks at every stage that a job can be stuck in but the lease, which ``LapsedLeases`` looks at."""

    submissions: Submissions
    jobs: Jobs
    submit: SubmitShots
    freeze: FreezeCast
    progress: Progress
    clock: Clock
    signal: WorkSignal
    cast_deadline_s: float
    observer: Observer = UNOBSERVED

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
        cut_off = await self.submissions.unfinished(now - FAN_OUT_GRACE_S, SUBMISSIONS)
        await _each([self._fan_out(owned) for owned in cut_off])
        for state in LOOKED_AT:
            await _each([self._look(owned, now) for owned in await self.jobs.due(state, now, BATCH)])

    async def look_ahead(self) -> None:
        """Look at what was put far ahead by a clock that was wrong."""
        now = self.clock.now()
        for state in LOOKED_AT:
            last = await self.jobs.last_due(state, FAR_BATCH)
            await _each([self._look(owned, now) for owned in last if owned.job.is_due(now)])

    async def _fan_out(self, owned: OwnedSubmission) -> None:
        with self.observer.continuing(owned.traceparent):
            await self.submit.fan_out(owned.project, owned.submission)

    async def _look(self, owned: OwnedJob, now: float) -> None:
        if owned.job.state == WAITING and expired(owned.job, now) is None:
            await self.freeze(owned.project, owned.job)
        job = await self.jobs.change(owned.project, owned.job.id, lambda job: looked_at(job, now, self.cast_deadline_s))
        if job.state != owned.job.state:
            await self.progress.tell(owned.project, RenderProgressed(job.id, job.state))
        if job.state == READY:
            self.signal.there_is_work()


async def _each(looks: Sequence[Awaitable[object]]) -> None:
    """Await all of them; one that fails is looked at again and keeps no other from being."""
    for outcome in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(outcome, ContinuityError):
            _log.warning("something stands still for now: %s", outcome)
        elif isinstance(outcome, Exception):
            _log.error("something stands still", exc_info=outcome)
