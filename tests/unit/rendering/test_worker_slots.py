"""How much a worker takes on at once, and what becomes of it when the worker stops."""

from __future__ import annotations

import asyncio

import pytest

from continuity.kernel.errors import Unavailable
from services.rendering.domain.job import READY, SUCCEEDED, Job
from services.rendering.handlers import work
from services.rendering.handlers.render_jobs import STORED_BESIDE
from tests.unit.rendering.builders import job_in, shot
from tests.unit.rendering.floor import SLOTS, Floor, settled, until


class Away(Unavailable):
    template = "it is away"


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
        floor.renderer.may_go_on.clear()
        floor.bring(job_in(READY, shot(4)))
        await until(lambda: len(floor.renderer.drawn) == 4)
        asyncio.get_running_loop().call_soon(floor.files.may_store.set)
    assert floor.states() == [SUCCEEDED] * 3 + [READY]
    assert not floor.worker.works
    assert not floor.worker.drawing


async def test_what_cannot_be_stored_by_the_end_is_handed_back():
    floor = Floor(jobs=1)
    floor.worker.hand_back_s = 0.05
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
