"""A worker that runs beside a test, over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.rendering.domain.job import READY, Job
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.fakes import (
    InMemoryFiles,
    InMemoryJobs,
    InMemoryQueues,
    InMemorySubmissions,
    ScriptedRenderer,
    SetClock,
    SpokenProgress,
)

LIMIT_S = 20
SLOTS = 2


class Floor:
    """A worker with two slots, and as many urgent ones as asked, that runs beside the test."""

    def __init__(self, jobs: int, urgent_slots: int = 0) -> None:
        ready = [job_in(READY, shot(number)) for number in range(1, jobs + 1)]
        self.jobs = InMemoryJobs(*ready)
        self.renderer = ScriptedRenderer()
        self.files = InMemoryFiles()
        self.signal = WorkSignal()
        clock = SetClock()
        queue = FairQueue(InMemoryQueues(), self.jobs, InMemorySubmissions(), clock)
        tools = (self.files, SpokenProgress(), clock, self.signal)
        self.worker = RenderJobs(self.jobs, queue, self.renderer, *tools, slots=SLOTS, urgent_slots=urgent_slots)

    def bring(self, job: Job) -> None:
        """Stand a job in line and tell the worker."""
        self.jobs.stored[PROJECT, job.id] = job
        self.signal.there_is_work()

    def states(self) -> list[str]:
        return [job.state for job in self.jobs.stored.values()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.worker.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)
