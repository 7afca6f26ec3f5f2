"""The slot that is kept for whoever waits in person."""

from __future__ import annotations

import asyncio

import pytest

from engine.request import INTERACTIVE as ENGINES_INTERACTIVE
from services.rendering.domain.fair_queue import INTERACTIVE
from services.rendering.domain.job import READY, RENDERING, SUCCEEDED, Job
from services.rendering.handlers import work
from services.rendering.handlers.render_jobs import STORED_BESIDE
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.floor import SLOTS, Floor, settled, until


@pytest.fixture(autouse=True)
def nobody_looks_by_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is noticed was told of."""
    monkeypatch.setattr(work, "LOOK_AGAIN_S", 1e6)


def urgent(number: int, priority: int = INTERACTIVE) -> Job:
    return job_in(READY, shot(number), id=f"urgent-{priority}", priority=priority, first_tag=number)


def drawn(floor: Floor, job: Job) -> bool:
    return job.id in floor.renderer.drawn


def busy_floor(jobs: int, urgent_slots: int = 1) -> Floor:
    """One whose pictures are not finished until ``may_go_on`` is set."""
    floor = Floor(jobs, urgent_slots)
    floor.renderer.may_go_on.clear()
    return floor


def test_urgent_is_what_the_engine_takes_for_it():
    assert INTERACTIVE == ENGINES_INTERACTIVE


async def test_an_urgent_job_is_begun_while_all_other_slots_draw():
    floor, hurried = busy_floor(jobs=5), urgent(9)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        await settled()
        floor.bring(hurried)
        await until(lambda: drawn(floor, hurried))
        assert floor.states().count(RENDERING) == SLOTS + 1
        assert not floor.renderer.closed


async def test_an_urgent_job_waits_where_no_slot_is_kept_for_it():
    floor, hurried = busy_floor(jobs=5, urgent_slots=0), urgent(9)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        floor.bring(hurried)
        await settled()
        assert not drawn(floor, hurried)


async def test_other_jobs_leave_the_urgent_slot_alone():
    floor, nearly = busy_floor(jobs=5), urgent(9, INTERACTIVE - 1)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        floor.bring(nearly)
        await settled()
        assert floor.states().count(RENDERING) == SLOTS
        floor.renderer.may_go_on.set()
        await until(lambda: floor.states() == [SUCCEEDED] * 6)


async def test_no_more_urgent_jobs_are_leased_than_there_are_slots():
    floor = busy_floor(jobs=3)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        for number in (7, 8, 9):
            floor.bring(urgent(number, INTERACTIVE + number))
        await until(lambda: len(floor.renderer.drawn) == SLOTS + 1)
        await settled()
        assert floor.states().count(RENDERING) == SLOTS + 1
        floor.renderer.may_go_on.set()
        await until(lambda: floor.states() == [SUCCEEDED] * 6)


async def test_a_slot_that_is_freed_while_an_urgent_job_is_waited_for_is_filled_at_once():
    floor = busy_floor(jobs=SLOTS)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        late = [job_in(READY, shot(number)) for number in (8, 9)]
        for job in late:
            floor.bring(job)
        await settled()
        assert not any(drawn(floor, job) for job in late)
        floor.worker.interrupt(floor.renderer.drawn[0])
        await until(lambda: drawn(floor, late[0]))
        await settled()
        assert not drawn(floor, late[1])


async def test_an_urgent_job_is_begun_while_many_pictures_are_stored():
    floor, hurried = Floor(jobs=20, urgent_slots=1), urgent(30)
    floor.files.may_store.clear()
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS * (1 + STORED_BESIDE))
        await settled()
        floor.bring(hurried)
        await until(lambda: drawn(floor, hurried))
        await settled()
        assert floor.states().count(READY) == 20 - SLOTS * (1 + STORED_BESIDE)
        floor.files.may_store.set()


async def test_a_worker_that_stops_hands_its_urgent_job_back():
    floor, hurried = busy_floor(jobs=SLOTS), urgent(9)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        floor.bring(hurried)
        await until(lambda: drawn(floor, hurried))
    assert floor.states() == [READY] * (SLOTS + 1)
    assert floor.jobs.stored[PROJECT, hurried.id].line_key == hurried.queue_key


async def test_an_urgent_job_that_is_leased_while_the_worker_stops_goes_back():
    floor, hurried = busy_floor(jobs=SLOTS), urgent(9)
    task = asyncio.create_task(floor.worker.run())
    await until(lambda: len(floor.renderer.drawn) == SLOTS)
    await settled()
    leased, may_answer = floor.jobs.hold_leases()
    floor.bring(hurried)
    await leased.wait()
    task.cancel()
    asyncio.get_running_loop().call_soon(may_answer.set)
    await asyncio.gather(task, return_exceptions=True)
    assert floor.states() == [READY] * (SLOTS + 1)
    assert not drawn(floor, hurried)


async def test_without_an_urgent_slot_a_full_worker_asks_the_store_for_nothing():
    floor = busy_floor(jobs=5, urgent_slots=0)
    async with floor.running():
        await until(lambda: len(floor.renderer.drawn) == SLOTS)
        for _ in range(10):
            floor.signal.there_is_work()
            await settled()
        assert floor.jobs.leases == 1
