from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from continuity.documents.port import DocumentsUnavailable
from continuity.kernel.clock import Clock
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.events import KeyframeFailed
from services.rendering.domain.job import FAILED, READY, RENDERING, Job
from services.rendering.domain.lease import MAX_ATTEMPTS, lease_renewed
from services.rendering.handlers.lapsed_leases import LapsedLeases
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import PROJECT, TOKEN, job_in, leased, shot
from tests.unit.rendering.fakes import InMemoryJobs, SetClock, SpokenProgress

LEASE_S = 10.0
HOUR_S = 3_600.0


class Shift:
    """One leased job, the process that watches over it, and two clocks: the wall's and the one that never jumps."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = InMemoryJobs(*(jobs or (job_in(RENDERING),)))
        self.wall, self.elapsed = SetClock(), SetClock(0.0)
        self.progress = SpokenProgress()
        self.leases = self.another_watch(self.wall)

    def another_watch(self, wall: Clock) -> LapsedLeases:
        return LapsedLeases(self.jobs, self.progress, wall, WorkSignal(), LEASE_S, self.elapsed.now)

    async def renew(self, until: float) -> None:
        await self.jobs.change(PROJECT, self.jobs.only().id, lambda job: lease_renewed(job, TOKEN, until))

    async def look_after(self, seconds: float) -> Job:
        self.elapsed.seconds += seconds
        self.wall.seconds += seconds
        await self.leases()
        return self.jobs.only()


async def test_a_lease_that_nobody_renews_lapses_and_its_job_stands_in_line_again():
    shift = Shift()
    assert (await shift.look_after(0.0)).state == RENDERING
    assert (await shift.look_after(LEASE_S - 1)).state == RENDERING
    job = await shift.look_after(1.0)
    assert (job.state, job.attempts, job.line_key) == (READY, 1, job.queue_key)
    assert job.last_failure.reason == "WORKER_LOST"
    assert shift.progress.words[-1].state == READY
    assert shift.leases.taken_back == 1


async def test_a_lease_that_is_renewed_never_lapses():
    shift = Shift()
    for seconds in range(0, 100, 5):
        await shift.renew(1_000.0 + seconds)
        assert (await shift.look_after(5.0)).state == RENDERING


async def test_while_the_store_takes_no_writes_no_lease_lapses_for_nobody_can_renew_one():
    shift = Shift()
    await shift.look_after(0.0)
    shift.jobs.broken = DocumentsUnavailable(cause="the disk is full")
    for _ in range(5):
        with suppress(DocumentsUnavailable):
            await shift.look_after(LEASE_S)
    shift.jobs.broken = None
    assert (await shift.look_after(LEASE_S / 4)).state == RENDERING
    await shift.renew(2_000.0)
    assert (await shift.look_after(LEASE_S - 1)).attempts == 0


async def test_a_lease_that_another_worker_has_by_now_is_a_new_one():
    shift = Shift()
    await shift.look_after(0.0)
    shift.jobs.stored[PROJECT, shift.jobs.only().id] = leased(shift.jobs.only(), "another")
    assert (await shift.look_after(LEASE_S)).state == RENDERING


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_a_clock_that_jumps_here_takes_nothing_from_a_living_worker(jump_s):
    shift = Shift()
    await shift.look_after(0.0)
    shift.wall.seconds += jump_s
    for seconds in range(0, 40, 5):
        await shift.renew(1_000.0 + seconds)
        assert (await shift.look_after(5.0)).state == RENDERING


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_a_clock_that_jumps_at_a_worker_which_dies_then_strands_no_job(jump_s):
    shift = Shift()
    await shift.look_after(0.0)
    await shift.renew(1_000.0 + jump_s)
    await shift.look_after(1.0)
    assert (await shift.look_after(LEASE_S)).state == READY


async def test_no_lease_lapses_while_the_store_is_away_for_nobody_can_renew_it():
    shift = Shift()
    await shift.look_after(0.0)
    shift.jobs.away = RendererDown(cause="the store")
    with pytest.raises(RendererDown):
        await shift.look_after(LEASE_S)
    shift.jobs.away = None
    assert (await shift.look_after(1.0)).state == RENDERING
    assert (await shift.look_after(LEASE_S)).state == READY


async def test_two_processes_take_a_job_back_once():
    shift = Shift()
    other = shift.another_watch(SetClock())
    await shift.look_after(0.0)
    await other()
    shift.elapsed.seconds += LEASE_S
    shift.jobs.before_change = other
    await shift.leases()
    assert shift.jobs.only().attempts == 1
    assert shift.leases.taken_back + other.taken_back == 1


async def test_a_job_whose_workers_are_lost_three_times_fails_with_that_reason():
    shift = Shift(replace(job_in(RENDERING), attempts=MAX_ATTEMPTS - 1))
    await shift.look_after(0.0)
    job = await shift.look_after(LEASE_S)
    assert (job.state, job.failure.reason, job.failure.metadata) == (FAILED, "WORKER_LOST", {"attempts": "3"})
    assert [type(event) for event in shift.jobs.events] == [KeyframeFailed]


async def test_when_all_workers_are_known_to_be_dead_every_job_is_taken_back_at_once():
    shift = Shift(*(leased(job_in(READY, shot(number))) for number in (1, 2, 3)), job_in(FAILED, shot(4)))
    await shift.leases.take_all_back()
    assert sorted(job.state for job in shift.jobs.stored.values()) == [FAILED, READY, READY, READY]
