from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.rendering.domain.events import KeyframeFailed, RenderRequested
from services.rendering.domain.job import (
    CANCELLED,
    CAST_LOOK_S,
    FAILED,
    PROMPT_LOOK_S,
    READY,
    RENDERING,
    REQUESTED,
    WAITING,
    Job,
)
from services.rendering.domain.lease import attempt_failed
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.find_jobs import CHUNK_BYTES, MOST_AHEAD, FindJobs
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.reconcile import BATCH, FAN_OUT_GRACE_S, Reconcile
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.take_prompts import TakePrompts
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import (
    EVERY_STATE,
    FAILURE,
    KEYFRAME,
    PROJECT,
    PROMPT,
    WARD,
    job_in,
    shot,
    submission,
)
from tests.unit.rendering.fakes import (
    InMemoryCast,
    InMemoryFiles,
    InMemoryJobs,
    InMemoryQueues,
    InMemorySubmissions,
    SetClock,
    SpokenProgress,
)

DEADLINE_S = 600.0


class Service:
    def __init__(self, *jobs: Job, cast: InMemoryCast | None = None) -> None:
        self.jobs = InMemoryJobs(*jobs)
        self.submissions = InMemorySubmissions()
        self.progress = SpokenProgress()
        self.clock = SetClock(101.0)
        freeze = FreezeCast(cast or InMemoryCast(), self.jobs, self.clock)
        queue = FairQueue(InMemoryQueues(), self.jobs, self.submissions, self.clock)
        admission = Admission(self.jobs, 10_000, self.clock.now)
        self.submit = SubmitShots(self.submissions, self.jobs, freeze, queue, admission, self.clock)
        self.reconcile = Reconcile(
            self.submissions, self.jobs, self.submit, freeze, self.progress, self.clock, WorkSignal(), DEADLINE_S
        )
        self.take = TakePrompts(self.jobs, self.progress, self.clock, WorkSignal())

    async def look_at(self, seconds: float) -> Job:
        self.clock.seconds = seconds
        await self.reconcile()
        await asyncio.gather(*self.submit.notes)
        return self.jobs.only()


def waiting(missing: str = "ward") -> Job:
    return replace(job_in(WAITING, shot(character_ids=("ward",))), waiting_for=missing)


async def test_a_submission_whose_fan_out_was_cut_off_gets_its_jobs_after_a_grace():
    service = Service()
    await service.submissions.add(PROJECT, submission(shot(1), create_time=100.0))
    service.clock.seconds = 100.0 + FAN_OUT_GRACE_S - 1
    await service.reconcile()
    assert not service.jobs.stored
    assert (await service.look_at(100.0 + FAN_OUT_GRACE_S)).state == REQUESTED
    assert not await service.submissions.unfinished(1e12, 10)


async def test_a_job_that_waits_for_who_is_ready_goes_on():
    job = await Service(waiting(), cast=InMemoryCast(WARD)).look_at(101.0 + CAST_LOOK_S)
    assert job.state == REQUESTED


async def test_a_job_whose_cast_never_comes_fails_at_its_deadline_naming_who_is_missing():
    service = Service(waiting())
    assert (await service.look_at(100.0 + DEADLINE_S - 1)).state == WAITING
    job = await service.look_at(100.0 + DEADLINE_S)
    assert (job.state, job.failure.reason) == (FAILED, "CAST_INCOMPLETE")
    assert job.failure.metadata == {"missing": "ward", "limit_s": "600.0"}
    assert [type(event) for event in service.jobs.events] == [KeyframeFailed]
    assert service.progress.words[-1].state == FAILED


async def test_at_the_deadline_the_one_who_is_still_missing_is_named():
    job = replace(waiting("ward"), shot=shot(character_ids=("ward",), location_id="pad"))
    job = await Service(job, cast=InMemoryCast(WARD)).look_at(100.0 + DEADLINE_S)
    assert job.failure.metadata["missing"] == "pad"


async def test_a_cast_that_is_complete_at_the_deadline_is_in_time():
    job = await Service(waiting(), cast=InMemoryCast(WARD)).look_at(100.0 + DEADLINE_S)
    assert job.state == REQUESTED


async def test_a_prompt_that_never_came_is_asked_for_again_once_in_a_while():
    service = Service(job_in(REQUESTED))
    await service.look_at(102.0 + PROMPT_LOOK_S - 1)
    assert not service.jobs.events
    for _ in range(2):
        await service.look_at(102.0 + PROMPT_LOOK_S)
    assert [type(event) for event in service.jobs.events] == [RenderRequested]


@pytest.mark.parametrize("state", [state for state in EVERY_STATE if state not in (WAITING, REQUESTED)])
async def test_what_is_in_the_queue_at_work_or_finished_is_left_alone(state):
    service = Service(job_in(state))
    assert await service.look_at(1e9) == job_in(state)
    assert not service.jobs.events


async def test_a_prompt_queues_its_job_and_is_told():
    service = Service(job_in(REQUESTED))
    await service.take.built(PROJECT, service.jobs.only().id, PROMPT)
    assert (service.jobs.only().state, service.progress.words[-1].state) == (READY, READY)


async def test_a_prompt_failure_that_comes_late_does_not_end_a_job_that_has_its_prompt():
    service = Service(job_in(RENDERING))
    await service.take.failed(PROJECT, service.jobs.only().id, FAILURE)
    assert service.jobs.only().state == RENDERING


async def test_a_prompt_failure_ends_the_job_that_waits_for_it():
    service = Service(job_in(REQUESTED))
    await service.take.failed(PROJECT, service.jobs.only().id, FAILURE)
    assert (service.jobs.only().state, service.jobs.only().failure) == (FAILED, FAILURE)


async def test_a_queued_job_knows_how_many_stand_before_it_and_no_other_does():
    jobs = [replace(job_in(READY, shot(number)), queue_key=number, line_key=number) for number in (1, 2, 3)]
    other = replace(job_in(CANCELLED, shot(4)), queue_key=0)
    find = FindJobs(InMemoryJobs(*jobs, other), InMemoryFiles())
    assert [(await find(PROJECT, job.id))[1] for job in (*jobs, other)] == [0, 1, 2, None]


async def test_a_keyframe_comes_in_chunks():
    job, files = job_in("succeeded"), InMemoryFiles()
    files.keyframes[KEYFRAME.object.key] = bytes(range(256)) * 1025
    chunks = [chunk async for chunk in FindJobs(InMemoryJobs(job), files).keyframe(PROJECT, job.id)]
    assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, 256]
    assert b"".join(chunks) == files.keyframes[KEYFRAME.object.key]


async def test_whoever_stands_far_back_is_told_a_thousand():
    jobs = [replace(job_in(READY, shot(number)), queue_key=number, line_key=number) for number in range(1, 1_100)]
    find = FindJobs(InMemoryJobs(*jobs), InMemoryFiles())
    assert [(await find(PROJECT, jobs[place].id))[1] for place in (999, 1_000, 1_098)] == [999, MOST_AHEAD, MOST_AHEAD]


@pytest.mark.parametrize("state", [WAITING, REQUESTED, READY])
async def test_a_job_that_nobody_did_in_time_fails_where_it_stands_and_is_told(state):
    service = Service(job_in(state, shot(character_ids=("nobody",)), time_to_live=50.0))
    assert (await service.look_at(149.0)).state == state
    job = await service.look_at(150.0)
    assert (job.state, job.failure.reason) == (FAILED, "JOB_EXPIRED")
    assert service.progress.words[-1].state == FAILED


async def test_a_job_that_waits_for_its_next_attempt_stands_in_line_when_it_is_time():
    waiting = attempt_failed(job_in(RENDERING), "worker-1", FAILURE, 110.0, retry_after_s=2.0).aggregate
    service = Service(waiting)
    assert (await service.look_at(111.0)).line_key is None
    assert (await service.look_at(112.0)).line_key == waiting.queue_key


async def test_a_time_that_a_wrong_clock_put_far_ahead_is_found():
    astray = attempt_failed(job_in(RENDERING), "worker-1", FAILURE, 3_710.0, retry_after_s=2.0).aggregate
    service = Service(astray)
    assert (await service.look_at(112.0)).line_key is None
    await service.reconcile.look_ahead()
    assert service.jobs.only().line_key == astray.queue_key


async def test_what_a_look_leaves_is_the_first_that_the_next_takes_on():
    jobs = [replace(waiting(), id=f"job-{number}") for number in range(BATCH + 50)]
    service = Service(*jobs)
    service.clock.seconds = 100.0 + DEADLINE_S
    for left in (50, 0):
        await service.reconcile()
        assert sum(job.state == WAITING for job in service.jobs.stored.values()) == left


async def test_a_job_that_cannot_be_driven_on_keeps_no_other_from_it():
    first, second = replace(waiting(), id="first"), replace(waiting(), id="second")
    service = Service(first, second)

    async def breaks() -> None:
        raise ZeroDivisionError

    service.jobs.before_change = breaks
    service.clock.seconds = 100.0 + DEADLINE_S
    await service.reconcile()
    assert sorted(job.state for job in service.jobs.stored.values()) == [FAILED, WAITING]
