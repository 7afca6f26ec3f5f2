from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.rendering.domain.events import KeyframeFailed, RenderRequested
from services.rendering.domain.job import (
    CANCELLED,
    CAST_LOOK_S,
    FAILED,
    LINE_LOOK_S,
    PROMPT_LOOK_S,
    READY,
    RENDERING,
    REQUESTED,
    WAITING,
    Deadlines,
    Job,
)
from services.rendering.domain.lease import attempt_failed, handed_back
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.find_jobs import CHUNK_BYTES, MOST_AHEAD, FindJobs
from services.rendering.handlers.freeze_cast import BATCHES, FreezeCast
from services.rendering.handlers.reconcile import BATCH, FAN_OUT_GRACE_S, SUBMISSIONS, Reconcile
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
    accept_any_options,
)

DEADLINES = Deadlines(cast_s=600.0, prompt_s=600.0)


class Service:
    def __init__(self, *jobs: Job, cast: InMemoryCast | None = None) -> None:
        self.jobs = InMemoryJobs(*jobs)
        self.submissions = InMemorySubmissions()
        self.progress = SpokenProgress()
        self.clock = SetClock(101.0)
        freeze = self.freeze = FreezeCast(cast or InMemoryCast(), self.jobs, self.clock, batch=2)
        self.queue = FairQueue(InMemoryQueues(), self.jobs, self.submissions, self.clock)
        admission = Admission(self.jobs, 10_000, self.clock.now)
        self.submit = SubmitShots(
            self.submissions, self.jobs, freeze, self.queue, admission, self.clock, accept_any_options
        )
        self.reconcile = Reconcile(
            self.submissions, self.jobs, self.submit, freeze, self.progress, self.clock, WorkSignal(), DEADLINES
        )
        self.take = TakePrompts(self.jobs, self.progress, self.clock, WorkSignal())

    async def look_at(self, seconds: float) -> Job:
        self.clock.seconds = seconds
        await self.reconcile()
        await asyncio.gather(*self.submit.notes)
        return self.jobs.only()

    async def look_until_it_ends(self) -> Job:
        """Look whenever it is time."""
        while not self.jobs.only().finished:
            await self.look_at(self.jobs.only().look_time)
        return self.jobs.only()


def on_its_last_look(job: Job) -> Job:
    """Return a waiting job that has been looked at as often as its deadline allows but once."""
    return replace(job, looks=100)


def waiting(missing: str = "ward") -> Job:
    return replace(job_in(WAITING, shot(character_ids=("ward",))), waiting_for=missing)


async def test_a_submission_whose_fan_out_was_cut_off_gets_its_jobs_after_a_grace():
    service = Service()
    await service.submissions.add(PROJECT, submission(shot(1), create_time=100.0))
    service.clock.seconds = 100.0 + FAN_OUT_GRACE_S - 1
    await service.reconcile()
    assert not service.jobs.stored
    assert (await service.look_at(100.0 + FAN_OUT_GRACE_S)).state == REQUESTED
    assert await service.submissions.unfinished(1e12, 10, "") == ([], "")


async def test_submissions_that_can_never_be_fanned_out_keep_no_later_one_from_it():
    service = Service()
    for number in range(SUBMISSIONS + 5):
        await service.submissions.add(PROJECT, submission(id=f"take-{number}", create_time=100.0 + number))
    service.jobs.unwritable = {f"take-{number}" for number in range(SUBMISSIONS + 2)}
    service.clock.seconds = 1e6
    for _ in range(2):
        await service.reconcile()
    assert {job.submission_id for job in service.jobs.stored.values()} == {"take-12", "take-13", "take-14"}
    service.jobs.unwritable = set()
    for _ in range(2):
        await service.reconcile()
    assert len(service.jobs.stored) == SUBMISSIONS + 5


async def test_a_job_that_waits_for_who_is_ready_goes_on():
    job = await Service(waiting(), cast=InMemoryCast(WARD)).look_at(101.0 + CAST_LOOK_S)
    assert job.state == REQUESTED


async def test_jobs_that_were_left_because_many_waited_for_the_same_one_go_on_before_it_is_time_to_look_at_them():
    wanted = [replace(waiting(), id=f"{number}") for number in range(3 * BATCHES)]
    service = Service(*wanted)
    await service.freeze.learn(PROJECT, WARD)
    assert WAITING in {job.state for job in service.jobs.stored.values()}
    await service.reconcile()
    assert {job.state for job in service.jobs.stored.values()} == {REQUESTED}


async def test_a_job_whose_cast_never_comes_fails_at_its_deadline_naming_who_is_missing():
    service = Service(waiting())
    job = await service.look_until_it_ends()
    assert service.clock.now() == 101.0 + DEADLINES.cast_s
    assert (job.state, job.failure.reason) == (FAILED, "CAST_INCOMPLETE")
    assert job.failure.metadata == {"missing": "ward", "limit_s": "600.0"}
    assert [type(event) for event in service.jobs.events] == [KeyframeFailed]
    assert service.progress.words[-1].state == FAILED


async def test_at_the_deadline_the_one_who_is_still_missing_is_named():
    job = replace(waiting("ward"), shot=shot(character_ids=("ward",), location_id="pad"))
    job = await Service(job, cast=InMemoryCast(WARD)).look_until_it_ends()
    assert job.failure.metadata["missing"] == "pad"


async def test_a_cast_that_is_complete_at_the_deadline_is_in_time():
    job = on_its_last_look(waiting())
    assert (await Service(job, cast=InMemoryCast(WARD)).look_at(1e6)).state == REQUESTED
    assert (await Service(job).look_at(1e6)).state == FAILED


async def test_a_prompt_that_never_came_is_asked_for_again_once_in_a_while():
    service = Service(job_in(REQUESTED))
    await service.look_at(102.0 + PROMPT_LOOK_S - 1)
    assert not service.jobs.events
    for _ in range(2):
        await service.look_at(102.0 + PROMPT_LOOK_S)
    assert [type(event) for event in service.jobs.events] == [RenderRequested]


async def test_a_prompt_is_not_asked_for_again_while_the_asking_has_not_been_published():
    service = Service(job_in(REQUESTED))
    service.jobs.unpublished.add((PROJECT, service.jobs.only().id))
    job = await service.look_at(102.0 + PROMPT_LOOK_S)
    assert not service.jobs.events
    assert (job.look_time, job.looks) == (102.0 + 2 * PROMPT_LOOK_S, 0), "the deadline comes no nearer"
    service.jobs.unpublished.clear()
    await service.look_at(102.0 + 2 * PROMPT_LOOK_S)
    assert [type(event) for event in service.jobs.events] == [RenderRequested]


async def test_a_job_whose_prompt_never_comes_fails_at_its_deadline_and_is_told():
    service = Service(job_in(REQUESTED))
    job = await service.look_until_it_ends()
    assert service.clock.now() == 102.0 + DEADLINES.prompt_s
    assert (job.state, job.failure.reason) == (FAILED, "PROMPT_MISSING")
    assert [type(event) for event in service.jobs.events] == [*3 * [RenderRequested], KeyframeFailed]
    assert service.progress.words[-1].state == FAILED


@pytest.mark.parametrize("state", [WAITING, REQUESTED])
async def test_a_process_that_was_off_for_a_week_completes_what_waited(state):
    service = Service(replace(waiting(), state=state))
    assert (await service.look_at(604_800.0)).state == state


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


def test_a_keyframe_has_an_address_and_a_job_without_one_has_none():
    find = FindJobs(InMemoryJobs(), InMemoryFiles())
    rendered = replace(job_in("succeeded"), keyframe=KEYFRAME)
    assert find.image_url(rendered) == f"https://cdn.example.org/{KEYFRAME.object.key}"
    assert find.image_url(job_in(REQUESTED)) == ""


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


@pytest.mark.parametrize("state", [WAITING, REQUESTED, READY])
async def test_times_to_live_do_not_hide_what_a_wrong_clock_put_far_ahead(state):
    in_line = [job_in(READY, shot(number), time_to_live=7_200.0, id=f"take-{number}") for number in range(1, 151)]
    astray = replace(
        job_in(state, shot(999, character_ids=("nobody",)), time_to_live=9_000.0), line_key=None, look_time=5_000.0
    )
    service = Service(*in_line, astray)
    service.clock.seconds = 112.0
    await service.reconcile.look_ahead()
    job = service.jobs.stored[PROJECT, astray.id]
    assert job.line_key == astray.queue_key if state == READY else job.look_time < 1_000.0


async def test_a_job_with_a_long_time_to_live_is_looked_at_in_line_now_and_then_and_ends_in_time():
    service = Service(job_in(READY, time_to_live=10_000.0))
    looks = 0
    while not service.jobs.only().finished:
        before = service.jobs.only()
        job = await service.look_at(before.look_time)
        assert job.finished or job == replace(before, look_time=job.look_time)
        looks += 1
    assert (looks, service.clock.now(), service.jobs.only().failure.reason) == (3, 10_100.0, "JOB_EXPIRED")


async def test_a_job_that_an_earlier_version_wanted_to_look_at_when_it_expires_stays_in_line():
    job = replace(job_in(READY, time_to_live=100_000.0), look_time=100_100.0)
    service = Service(job)
    await service.reconcile.look_ahead()
    assert service.jobs.only() == replace(job, look_time=101.0 + LINE_LOOK_S)


def of_an_older_version(state: str, **changes: object) -> Job:
    """Return a job as a version left it that knew neither places in line nor times to look; its key is an arrival."""
    arrival_us = 1_700_000_000_000_000
    return replace(job_in(state), queue_key=10**18 + arrival_us, line_key=None, look_time=None, **changes)


async def test_a_ready_job_that_an_older_version_left_without_a_place_stands_before_the_others():
    old, new = of_an_older_version(READY), replace(job_in(READY, shot(2), first_tag=7), id="new")
    service = Service(new, old)
    service.clock.seconds = 1e9
    await service.reconcile()
    assert service.jobs.stored[PROJECT, old.id].line_key is None
    await service.reconcile.look_ahead()
    assert await service.jobs.ahead_of(service.jobs.stored[PROJECT, old.id], 10) == 0
    assert await service.jobs.ahead_of(new, 10) == 1
    leased = [owned.job.id for owned in await service.jobs.lease(1e9, 2e9, "worker", 5)]
    assert leased == [old.id, "new"]


@pytest.mark.parametrize("state", [WAITING, REQUESTED, READY, RENDERING])
async def test_a_newcomer_stands_beside_the_others_though_a_job_of_an_older_version_was_drawn(state):
    service = Service(of_an_older_version(state), cast=InMemoryCast(WARD))
    service.clock.seconds = 1e9
    await service.reconcile.look_ahead()
    await service.take.built(PROJECT, service.jobs.only().id, PROMPT)
    if state == RENDERING:
        await service.jobs.change(PROJECT, service.jobs.only().id, lambda job: handed_back(job, "worker-1", 1e9))
    (owned,) = await service.jobs.lease(1e9, 2e9, "worker", 5)
    service.queue.drawn(owned.job)
    assert await service.queue.reserve("newcomer", "take", 0, 1) == 1


async def test_a_job_that_an_older_version_left_without_its_prompt_asks_for_it_again():
    service = Service(of_an_older_version(REQUESTED))
    service.clock.seconds = 1e9
    await service.reconcile.look_ahead()
    assert [type(event) for event in service.jobs.events] == [RenderRequested]
    assert service.jobs.only().look_time == 1e9 + 2 * PROMPT_LOOK_S


async def test_a_job_that_an_older_version_left_without_its_cast_is_held_to_its_deadline():
    service = Service(of_an_older_version(WAITING, shot=shot(character_ids=("ward",)), waiting_for="ward"))
    await service.reconcile.look_ahead()
    await service.look_until_it_ends()
    assert (service.jobs.only().state, service.jobs.only().failure.reason) == (FAILED, "CAST_INCOMPLETE")


@pytest.mark.parametrize("state", [READY, RENDERING, CANCELLED])
async def test_what_needs_no_time_because_it_is_in_line_at_work_or_finished_is_left_alone(state):
    service = Service(job_in(state))
    service.clock.seconds = 1e9
    await service.reconcile.look_ahead()
    assert service.jobs.only() == job_in(state)


async def test_what_a_look_leaves_is_the_first_that_the_next_takes_on():
    jobs = [replace(on_its_last_look(waiting()), id=f"job-{number}") for number in range(BATCH + 50)]
    service = Service(*jobs)
    service.clock.seconds = 1e6
    for left in (50, 0):
        await service.reconcile()
        assert sum(job.state == WAITING for job in service.jobs.stored.values()) == left


async def test_a_job_that_cannot_be_driven_on_keeps_no_other_from_it():
    first, second = (replace(on_its_last_look(waiting()), id=id) for id in ("first", "second"))
    service = Service(first, second)

    async def breaks() -> None:
        raise ZeroDivisionError

    service.jobs.before_change = breaks
    service.clock.seconds = 1e6
    await service.reconcile()
    assert sorted(job.state for job in service.jobs.stored.values()) == [FAILED, WAITING]
