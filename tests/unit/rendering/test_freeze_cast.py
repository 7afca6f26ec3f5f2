from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from services.rendering.domain.job import REQUESTED, WAITING, cancelled
from services.rendering.handlers.freeze_cast import BATCHES, FreezeCast
from tests.unit.rendering.builders import PAD, PROJECT, WARD, after, job_in, shot
from tests.unit.rendering.fakes import InMemoryCast, InMemoryJobs, SetClock

REYES = replace(WARD, id="reyes", name="Reyes", content="reyes as a message")
TWO_AND_A_PLACE = shot(character_ids=("reyes", "ward"), location_id="pad")


def waiting_for(id: str, wanted=TWO_AND_A_PLACE):
    return replace(job_in(WAITING, wanted), waiting_for=id)


@pytest.mark.parametrize(
    "arrivals", [(WARD, REYES, PAD), (PAD, REYES, WARD), (REYES, PAD, WARD)], ids=lambda entries: entries[0].id
)
async def test_a_job_is_requested_when_the_last_of_its_cast_is_there_in_the_order_of_the_shot(arrivals):
    jobs = InMemoryJobs(waiting_for("reyes"))
    freeze = FreezeCast(InMemoryCast(), jobs, SetClock())
    for entry in arrivals[:-1]:
        await freeze.learn(PROJECT, entry)
        assert jobs.only().state == WAITING
    await freeze.learn(PROJECT, arrivals[-1])
    assert jobs.only().state == REQUESTED
    assert jobs.only().characters == (REYES.content, WARD.content)
    assert [member.id for member in jobs.only().cast] == ["reyes", "ward", "pad"]


async def test_a_job_freezes_the_newest_version_that_was_told():
    jobs = InMemoryJobs(waiting_for("pad", shot(character_ids=("ward",), location_id="pad")))
    freeze = FreezeCast(InMemoryCast(), jobs, SetClock())
    for version in (5, 7, 6):
        await freeze.learn(PROJECT, replace(WARD, version=version, content=f"version {version}"))
    await freeze.learn(PROJECT, PAD)
    assert jobs.only().characters == ("version 7",)


async def test_a_character_that_is_told_again_after_its_deletion_is_not_cast():
    jobs = InMemoryJobs(waiting_for("ward", shot(character_ids=("ward",))))
    freeze = FreezeCast(InMemoryCast(replace(WARD, version=4, deleted=True)), jobs, SetClock(), batch=1)
    await freeze.learn(PROJECT, WARD)
    assert (jobs.only().state, jobs.only().waiting_for) == (WAITING, "ward")


async def test_a_deletion_lets_those_who_wait_wait_on():
    jobs = InMemoryJobs(waiting_for("ward"))
    await FreezeCast(InMemoryCast(), jobs, SetClock()).learn(PROJECT, replace(WARD, version=4, deleted=True))
    assert jobs.only().state == WAITING


async def test_more_jobs_than_one_look_takes_are_all_taken_on():
    wanted = [waiting_for("ward", shot(number, character_ids=("ward",))) for number in range(1, 6)]
    jobs = InMemoryJobs(*wanted)
    await FreezeCast(InMemoryCast(), jobs, SetClock(), batch=2).learn(PROJECT, WARD)
    assert {job.state for job in jobs.stored.values()} == {REQUESTED}
    assert len(jobs.events) == 5


async def test_of_very_many_who_wait_for_one_the_event_takes_on_some_and_the_reconciler_the_rest():
    wanted = [waiting_for("ward", shot(number, character_ids=("ward",))) for number in range(1, 3 * BATCHES)]
    jobs = InMemoryJobs(*wanted)
    freeze = FreezeCast(InMemoryCast(), jobs, SetClock(), batch=1)
    await freeze.learn(PROJECT, WARD)
    for taken_on in (BATCHES, 2 * BATCHES, len(wanted)):
        assert sum(job.state == REQUESTED for job in jobs.stored.values()) == taken_on
        await freeze.go_on()
    assert not freeze.left
    assert len(jobs.events) == len(wanted)


async def test_two_who_are_waited_for_by_very_many_take_turns():
    wanted = [waiting_for(id, shot(n, character_ids=(id,))) for id in ("ward", "reyes") for n in range(3 * BATCHES)]
    jobs = InMemoryJobs(*(replace(job, id=f"{n}") for n, job in enumerate(wanted)))
    freeze = FreezeCast(InMemoryCast(), jobs, SetClock(), batch=1)
    for entry in (WARD, REYES):
        await freeze.learn(PROJECT, entry)
    for _ in range(2):
        await freeze.go_on()
    taken_on = Counter(job.shot.character_ids for job in jobs.stored.values() if job.state == REQUESTED)
    assert taken_on == {("ward",): 2 * BATCHES, ("reyes",): 2 * BATCHES}


async def test_jobs_that_wait_for_the_same_one_are_written_side_by_side():
    wanted = [waiting_for("ward", shot(number, character_ids=("ward",))) for number in range(1, 6)]
    jobs, together = InMemoryJobs(*wanted), asyncio.Barrier(5)

    async def meet() -> None:
        jobs.before_change = meet
        await together.wait()

    jobs.before_change = meet
    async with asyncio.timeout(20):
        await FreezeCast(InMemoryCast(), jobs, SetClock()).learn(PROJECT, WARD)
    assert {job.state for job in jobs.stored.values()} == {REQUESTED}


async def test_a_job_that_cannot_be_written_is_told_after_the_others_were():
    wanted = [waiting_for("ward", shot(number, character_ids=("ward",))) for number in range(1, 6)]
    jobs = InMemoryJobs(*wanted)

    async def breaks() -> None:
        raise ZeroDivisionError

    jobs.before_change = breaks
    freeze = FreezeCast(InMemoryCast(), jobs, SetClock())
    with pytest.raises(ZeroDivisionError):
        await freeze.learn(PROJECT, WARD)
    assert sum(job.state == WAITING for job in jobs.stored.values()) == 1


async def test_another_projects_character_of_the_same_id_is_not_cast():
    jobs = InMemoryJobs(waiting_for("ward", shot(character_ids=("ward",))))
    await FreezeCast(InMemoryCast(), jobs, SetClock()).learn("other", WARD)
    assert jobs.only().state == WAITING


async def test_a_job_that_was_cancelled_in_between_stays_cancelled():
    job = waiting_for("ward", shot(character_ids=("ward",)))
    jobs = InMemoryJobs(job)
    jobs.before_change = lambda: jobs.change(PROJECT, job.id, lambda job: cancelled(job, 1.0))
    await FreezeCast(InMemoryCast(), jobs, SetClock()).learn(PROJECT, WARD)
    assert jobs.only() == after(cancelled(job, 1.0))
