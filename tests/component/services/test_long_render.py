"""Renders on the real Triton that take several times as long as a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import numpy as np
import pytest

from continuity.documents.port import Documents
from continuity.inference.client import TritonClient
from continuity.inference.tensors import ModelSpec
from continuity.kernel.clock import SystemClock
from services.rendering.adapters.stored_jobs import JOBS
from services.rendering.adapters.stored_queues import DRAWN, QUEUES
from services.rendering.adapters.stored_submissions import SUBMISSIONS
from services.rendering.domain.job import READY, SUCCEEDED
from services.rendering.handlers.lapsed_leases import LapsedLeases
from services.rendering.handlers.ports import Picture, RenderTask, Step
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.component.echo import order
from tests.component.services.test_render_races import Process, many
from tests.unit.rendering.builders import PROJECT
from tests.unit.rendering.fakes import InMemoryFiles, SpokenProgress

pytestmark = pytest.mark.triton

LEASE_S = 0.5
STEPS = 40
"""At 0.05 s each, that is four leases."""
JOBS_AT_ONCE = 4
LIMIT_S = 60.0


class SlowRenderer:
    """Draws grey pictures, in steps that Triton takes its time for."""

    name = "slow 1"

    def __init__(self, triton: TritonClient, model: ModelSpec) -> None:
        self._triton = triton
        self._model = model
        self.took_s: list[float] = []

    async def check(self) -> None:
        assert await self._triton.ready(self._model.name)

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        wanted = order(b"slowly", steps=STEPS)
        stream = self._triton.stream(self._model, wanted, request_id=task.job.id, timeout_s=task.timeout_s)
        async with aclosing(stream) as answers:
            async for answer in answers:
                yield Step(int(answer["step"][0]), int(answer["steps"][0]), b"")
        self.took_s.append(loop.time() - begun)
        yield Picture(np.full((task.job.height_px, task.job.width_px, 3), 128, np.uint8))


async def test_jobs_that_take_longer_than_a_lease_stay_with_their_worker(
    open_documents: Callable[..., Awaitable[Documents]], triton_address: str, echo: ModelSpec
) -> None:
    here, there = [Process(await open_documents(JOBS, SUBMISSIONS, QUEUES, DRAWN)) for _ in range(2)]
    jobs = many(READY, JOBS_AT_ONCE)
    await here.add(*jobs)
    clock = SystemClock()
    async with asyncio.timeout(LIMIT_S), TritonClient(triton_address) as triton:
        renderer = SlowRenderer(triton, echo)
        tools = (here.queue, renderer, InMemoryFiles(), SpokenProgress(), clock, WorkSignal())
        worker = RenderJobs(here.jobs, *tools, lease_s=LEASE_S, slots=JOBS_AT_ONCE)
        leases = LapsedLeases(there.jobs, SpokenProgress(), clock, WorkSignal(), LEASE_S)
        looking = asyncio.create_task(leases.run())
        assert await worker.begin(JOBS_AT_ONCE) == JOBS_AT_ONCE
        await asyncio.gather(*worker.works.values())
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    assert len(renderer.took_s) == JOBS_AT_ONCE, "none was begun twice"
    assert min(renderer.took_s) > 2 * LEASE_S, "else this test shows nothing"
    assert leases.taken_back == 0
    for job in jobs:
        assert (await there.jobs.get(PROJECT, job.id)).state == SUCCEEDED
        assert await here.ends_told(job) == [SUCCEEDED]
