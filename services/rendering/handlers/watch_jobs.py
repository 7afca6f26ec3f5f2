"""Watch jobs: each as it is, then every change and step, until all are finished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from services.rendering.domain.errors import SubmissionMissing
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.handlers.ports import Jobs, Progress

LOOK_AGAIN_S = 2.0
"""Words may be lost, so the documents are read again this often."""


@dataclass(frozen=True)
class WatchJobs:
    """Reads documents first and listens from before that, so that nothing falls between."""

    jobs: Jobs
    progress: Progress
    clock: Clock

    async def __call__(
        self, project: str, job_ids: Sequence[str], submission_id: str
    ) -> AsyncIterator[Job | RenderProgressed]:
        """Yield jobs and steps. Raises ``JobMissing`` and ``SubmissionMissing``."""
        if submission_id:
            job_ids = [job.id for job in await self.jobs.of_submission(project, submission_id)]
            if not job_ids:
                raise SubmissionMissing(submission_id=submission_id)
        feed = self.progress.listen(project, job_ids)
        try:
            known: dict[str, Job] = {}
            for job_id in job_ids:
                known[job_id] = await self.jobs.get(project, job_id)
                yield known[job_id]
            look_time = self.clock.now() + LOOK_AGAIN_S
            while open_ids := [job_id for job_id, job in known.items() if not job.finished]:
                left_s = look_time - self.clock.now()
                word = await feed.next(left_s) if left_s > 0 else None
                if word is None:
                    look_time = self.clock.now() + LOOK_AGAIN_S
                elif word.state == known[word.job_id].state:
                    yield word
                    continue
                for job_id in [word.job_id] if word is not None else open_ids:
                    job = await self.jobs.get(project, job_id)
                    if job.state != known[job_id].state:
                        known[job_id] = job
                        yield job
        finally:
            feed.close()
