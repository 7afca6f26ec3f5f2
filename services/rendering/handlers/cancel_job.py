"""Cancel a job in whatever state it is."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.clock import Clock
from services.rendering.domain.job import Job, cancelled
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs


@dataclass(frozen=True)
class CancelJob:
    """The document decides who was first; the word to the workers only hastens it."""

    jobs: Jobs
    progress: Progress
    clock: Clock

    async def __call__(self, project: str, job_id: str) -> Job:
        """Return the job, cancelled. Raises ``JobMissing`` and ``JobFinished``."""
        job = await self.jobs.change(project, job_id, lambda job: cancelled(job, self.clock.now()))
        await self.progress.tell(project, job)
        return job
