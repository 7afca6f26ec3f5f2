"""A leased job in the hands of its worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError, Full, Unavailable
from continuity.kernel.values import Change, Failure
from services.rendering.domain.job import Job
from services.rendering.domain.lease import attempt_failed, lease_renewed
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs, OwnedJob

RETRY_DELAY_S = 2.0
WRITE_AGAIN_S = 0.5
PATIENCE_S = 600.0
"""How long a worker keeps what it has done while the store is away; that is as long as an attempt may take."""


@dataclass(eq=False)
class HeldJob:
    """Keeps the newest version that it knows of, so that nothing is read which nobody else has changed."""

    owned: OwnedJob
    token: str
    lease_s: float
    jobs: Jobs
    progress: Progress
    clock: Clock
    patience_s: float = PATIENCE_S

    async def keep(self, work: asyncio.Task[None]) -> None:
        """Renew the lease for as long as the work goes on; stop the work when the lease is gone."""
        while True:
            await asyncio.sleep(self.lease_s / 4)
            with contextlib.suppress(ContinuityError):
                if await self._is_lost():
                    work.cancel()
                    return

    async def blame(self, failure: Failure, *, retryable: bool, crashed: bool = False) -> None:
        """Write that an attempt failed by the job's own fault, or that the renderer ``crashed`` over it."""
        delay_s = RETRY_DELAY_S * 2.0**self.owned.job.attempts if retryable else None
        now = self.clock.now()
        await self.change(
            lambda job: attempt_failed(job, self.token, failure, now, retry_after_s=delay_s, crashed=crashed)
        )

    async def change(self, decide: Callable[[Job], Change[Job] | None]) -> None:
        """Write what became of the job, for ``patience_s`` and however many leases that is: the work is done already.

        Nobody can renew or take over a lease while the store is away. Where it was away for this worker alone, another
        one may have the job, and then nothing is written.
        """
        until = asyncio.get_running_loop().time() + self.patience_s
        while True:
            try:
                return await self.write(decide)
            except (Unavailable, Full):
                if asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(WRITE_AGAIN_S)

    async def write(self, decide: Callable[[Job], Change[Job] | None]) -> None:
        """Write what became of the job, and tell of it."""
        await self.progress.tell(self.owned.project, await self._decided(decide))

    async def _is_lost(self) -> bool:
        until = self.clock.now() + self.lease_s
        job = await self._decided(lambda job: lease_renewed(job, self.token, until))
        return job.lease_token != self.token

    async def _decided(self, decide: Callable[[Job], Change[Job] | None]) -> Job:
        changed = await self.jobs.change_owned(self.owned, decide)
        if changed.version > self.owned.version:
            self.owned = changed
        return changed.job
