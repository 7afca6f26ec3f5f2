"""Take what the prompts service answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.values import Failure
from services.rendering.domain.errors import JobMissing
from services.rendering.domain.job import prompt_failed, prompted
from services.rendering.domain.keyframe import Prompt
from services.rendering.handlers.ports import Progress
from services.rendering.handlers.stores import Jobs
from services.rendering.handlers.work import WorkSignal


@dataclass(frozen=True)
class TakePrompts:
    """Puts jobs with a prompt into the queue."""

    jobs: Jobs
    progress: Progress
    clock: Clock
    signal: WorkSignal

    async def built(self, project: str, job_id: str, prompt: Prompt) -> None:
        """Take a prompt."""
        now = self.clock.now()
        job = await self.jobs.change(project, job_id, lambda job: prompted(job, prompt, now))
        await self.progress.tell(project, job)
        self.signal.there_is_work()

    async def failed(self, project: str, job_id: str, failure: Failure) -> None:
        """Take the reason why there is no prompt."""
        now = self.clock.now()
        job = await self.jobs.change(project, job_id, lambda job: prompt_failed(job, failure, now))
        await self.progress.tell(project, job)

    async def give_up(self, project: str, job_id: str, failure: Failure) -> None:
        """Take the reason why an answer cannot be taken; nothing happens where there is no job."""
        with suppress(JobMissing):
            await self.failed(project, job_id, failure)
