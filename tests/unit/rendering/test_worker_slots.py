"""How much a worker takes on at once, and what becomes of it when the worker stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from continuity.kernel.errors import Unavailable
from services.rendering.domain.job import READY, SUCCEEDED, Job
from services.rendering.handlers import render_jobs, work
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.render_jobs import STORED_BESIDE, RenderJobs
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


class Away(Unavailable):
    template = "it is away"


class Floor:
    """A worker with two slots that runs beside the test."""

    def __init__(self, jobs: int) -> None:
        ready = [job_in(READY, shot(number)) for number in range(1, jobs + 1)]
        self.jobs = InMemoryJobs(*ready)
        self.renderer = ScriptedRenderer()
        self.files = InMemoryFiles()
        self.signal = WorkSignal()
        clock = SetClock()
        queue = FairQueue(InMemoryQueues(), self.jobs, InMemorySubmissions(), clock)
        tools = (self.files, SpokenProgress(), clock, self.signal)
        self.worker = RenderJobs(self.jobs, queue, self.renderer, *tools, slots=SLOTS)

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


async def test_no_more_is_leased_than_there_are_slots():
    floor = Floor(jobs=5)
    floor.renderer.may_go_on.clear()
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        await settled()
        assert floor.states().count(READY) == 5 - SLOTS
        floor.renderer.may_go_on.set()
        await until(lambda: floor.states() == [SUCCEEDED] * 5)


async def test_pictures_are_stored_while_the_next_ones_are_drawn_up_to_a_limit():
    floor = Floor(jobs=20)
    floor.files.may_store.clear()
    async with floor.running():
        limit = SLOTS * (1 + STORED_BESIDE)
        await until(lambda: len(floor.renderer.drawn) == limit)
        await settled()
        assert len(floor.renderer.drawn) == limit
        floor.files.may_store.set()
        await until(lambda: floor.states() == [SUCCEEDED] * 20)


async def test_a_worker_that_stops_hands_back_what_it_draws_and_finishes_what_it_stores():
    floor = Floor(jobs=3)
    floor.files.may_store.clear()
    async with floor.running():
        await until(lambda: len(floor.renderer.closed) == 3)  # all drawn
        late = job_in(READY, shot(4))
        floor.renderer.may_go_on.clear()
        floor.jobs.stored[PROJECT, late.id] = late
        floor.signal.there_is_work()
        await until(lambda: len(floor.renderer.drawn) == 4)
        asyncio.get_running_loop().call_soon(floor.files.may_store.set)
    assert floor.states() == [SUCCEEDED] * 3 + [READY]
    assert not floor.worker.works
    assert not floor.worker.drawing


async def test_what_cannot_be_stored_by_the_end_is_handed_back(monkeypatch):
    monkeypatch.setattr(render_jobs, "HAND_BACK_S", 0.05)
    floor = Floor(jobs=1)
    floor.files.may_store.clear()
    async with floor.running():
        await until(lambda: len(floor.renderer.closed) == 1)
    handed_back: Job = floor.jobs.only()
    assert (handed_back.state, handed_back.attempts, handed_back.lease_token) == (READY, 0, "")


async def test_a_store_that_is_away_stops_no_job_that_is_drawn(monkeypatch):
    monkeypatch.setattr(work, "LOOK_AGAIN_S", 0.001)
    floor = Floor(jobs=1)
    floor.renderer.may_go_on.clear()
    async with floor.running():
        await floor.renderer.drawing.wait()
        floor.jobs.away = Away()
        floor.signal.there_is_work()
        await settled()
        floor.jobs.away = None
        floor.renderer.may_go_on.set()
        await until(lambda: floor.states() == [SUCCEEDED])
    assert len(floor.renderer.drawn) == 1


@pytest.mark.parametrize("jobs", [1, 7])
async def test_jobs_are_leased_together_and_an_empty_line_is_looked_at_once(jobs):
    floor = Floor(jobs)
    floor.worker.slots = 32
    async with floor.running():
        await until(lambda: floor.states() == [SUCCEEDED] * jobs)
        await settled()
    assert floor.jobs.leases == 1
