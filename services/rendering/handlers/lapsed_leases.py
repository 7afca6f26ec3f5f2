"""Take jobs back from workers that are not heard of any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from continuity.kernel.clock import Clock
from continuity.kernel.errors import Full, Unavailable
from continuity.kernel.values import Change
from services.rendering.domain.job import READY, Job
from services.rendering.domain.lease import lease_lapsed
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs, OwnedJob
from services.rendering.handlers.work import WorkSignal


@dataclass(frozen=True)
class _Sighting:
    token: str
    until: float
    since: float


@dataclass
class LapsedLeases:
    """A lease has lapsed when nobody has renewed it for ``lease_s`` under the eyes of this process.

    It is measured by this process's own ``elapsed`` seconds and not by the time that the lease names, so that a clock
    which is wrong, here or at the worker's, neither takes a living worker's job nor leaves a dead one's.
    """

    jobs: Jobs
    progress: Progress
    clock: Clock
    signal: WorkSignal
    lease_s: float
    elapsed: Callable[[], float] = monotonic
    taken_back: int = 0
    _seen: dict[tuple[str, str], _Sighting] = field(default_factory=dict)

    async def run(self) -> None:
        """Look four times in the length of a lease until cancelled."""
        while True:
            await self()
            await asyncio.sleep(self.lease_s / 4)

    async def __call__(self) -> None:
        """Look once."""
        # Forgotten when the store does not answer: nobody could renew a lease either.
        before, self._seen = self._seen, {}
        leased = await self.jobs.rendering()
        now = self.elapsed()
        for owned in leased:
            sighting = _Sighting(owned.job.lease_token, owned.job.lease_until, now)
            known = before.get((owned.project, owned.job.id))
            if known and (known.token, known.until) == (sighting.token, sighting.until):
                sighting = known
            self._seen[owned.project, owned.job.id] = sighting
            if now - sighting.since >= self.lease_s:
                await self._lapsed(owned)

    async def take_all_back(self) -> None:
        """Take every leased job back at once. For when all workers there could be are known to be dead."""
        for owned in await self.jobs.rendering():
            await self._take_back(owned)

    async def _lapsed(self, owned: OwnedJob) -> None:
        try:
            await self._take_back(owned)
        except (Unavailable, Full):
            self._seen.clear()  # it can be read but takes no writes, a renewal as little as this one
            raise

    async def _take_back(self, owned: OwnedJob) -> None:
        now, lease = self.clock.now(), owned.job
        change: Change[Job] | None = None

        def lapsed(job: Job) -> Change[Job] | None:
            nonlocal change
            change = lease_lapsed(job, lease.lease_token, lease.lease_until, now)
            return change

        job = await self.jobs.change(owned.project, lease.id, lapsed)
        if change is None:
            return
        self.taken_back += 1
        await self.progress.tell(owned.project, job)
        if job.state == READY:
            self.signal.there_is_work()
