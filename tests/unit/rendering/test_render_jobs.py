from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from continuity.kernel.errors import ContinuityError, InvalidValue, Unavailable
from services.rendering.domain.errors import RenderCrashed, RendererDown
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, KeyframeRendered
from services.rendering.domain.job import CANCELLED, FAILED, READY, RENDERING, SUCCEEDED, Deadlines, Job, looked_at
from services.rendering.domain.lease import MAX_INTERRUPTIONS
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.held_job import RETRY_DELAY_S, HeldJob
from services.rendering.handlers.lapsed_leases import LapsedLeases
from services.rendering.handlers.render_jobs import AWAY_DELAY_S, DOWN_DELAY_S, LEASE_S, RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import PROJECT, job_in, leased, shot
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


class DiskFull(Unavailable):
    template = "no space left"


class Flicker(ContinuityError):
    template = "it flickers"
    retryable = True


class Studio:
    """A worker with everything around it; ``lease_s`` is short where a test waits for a renewal."""

    def __init__(self, *jobs: Job, failures: tuple[Exception, ...] = (), lease_s: float = LEASE_S) -> None:
        self.jobs = InMemoryJobs(*jobs)
        self.renderer = ScriptedRenderer(*failures)
        self.files = InMemoryFiles()
        self.progress = SpokenProgress()
        self.clock = SetClock()
        self.queue = FairQueue(InMemoryQueues(), self.jobs, InMemorySubmissions(), self.clock)
        self.worker = self.another_worker(lease_s)
        self.leases = LapsedLeases(self.jobs, self.progress, self.clock, WorkSignal(), LEASE_S, self.clock.now)

    def another_worker(self, lease_s: float = LEASE_S) -> RenderJobs:
        return RenderJobs(
            self.jobs, self.queue, self.renderer, self.files, self.progress, self.clock, WorkSignal(), lease_s
        )

    async def render_next(self, worker: RenderJobs | None = None) -> bool:
        """What the first job of the queue becomes; a worker that is stopped meanwhile stops."""
        worker = worker or self.worker
        try:
            begun = await worker.begin()
            await asyncio.gather(*worker.works.values())
        except asyncio.CancelledError:
            await worker.stop()
            raise
        return begun > 0

    async def later(self, seconds: float) -> None:
        """Time goes by; the reconciler puts whatever waited into line again."""
        self.clock.seconds += seconds
        for job in tuple(self.jobs.stored.values()):
            await self.jobs.change(PROJECT, job.id, lambda job: looked_at(job, self.clock.now(), Deadlines(1e9, 1e9)))

    async def cancel(self, job: Job) -> Job:
        return await CancelJob(self.jobs, self.progress, self.clock)(PROJECT, job.id)

    @asynccontextmanager
    async def drawing(self) -> AsyncIterator[asyncio.Task[bool]]:
        """The worker at its first job, between two steps, held there until ``may_go_on``."""
        self.renderer.may_go_on.clear()
        self.renderer.drawing.clear()
        task = asyncio.create_task(self.render_next())
        try:
            async with asyncio.timeout(LIMIT_S):
                await self.renderer.drawing.wait()
                yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, DiskFull):
                await task

    async def kill_worker_while_drawing(self) -> Job:
        """The worker leaves the job as it stands and says no more."""
        async with self.drawing():
            left = next(job for job in self.jobs.stored.values() if job.state == RENDERING)
            self.jobs.broken = DiskFull()
        self.jobs.broken = None
        await self.leases()
        self.clock.seconds += LEASE_S
        await self.leases()
        return left


def ready(number: int = 1, **changes: object) -> Job:
    return replace(job_in(READY, shot(number)), queue_key=number, line_key=number, **changes)  # type: ignore[arg-type]


async def test_the_first_job_of_the_queue_is_drawn_stored_and_told():
    studio = Studio(ready(2), ready(1))
    assert await studio.render_next()
    job = await studio.jobs.get(PROJECT, ready(1).id)
    assert (job.state, job.keyframe.object.key) == (SUCCEEDED, f"film/keyframes/{job.id}")
    assert (job.keyframe.width_px, job.keyframe.height_px, job.keyframe.seed) == (256, 128, 7)
    assert job.keyframe.renderer == "fake 1"
    assert [type(event) for event in studio.jobs.events] == [KeyframeRendered]
    assert [(word.state, word.step) for word in studio.progress.words] == [
        (RENDERING, 0),
        (RENDERING, 1),
        (SUCCEEDED, 0),
    ]
    assert studio.progress.words[1].preview.key == "film/previews/jpeg"


async def test_an_empty_queue_is_no_work():
    assert not await Studio().render_next()


async def test_a_renderer_that_is_down_leaves_the_queue_alone():
    studio = Studio(ready())
    studio.renderer.is_down = True
    assert not await studio.render_next()
    assert studio.jobs.only() == ready()


async def test_a_renderer_that_goes_down_gives_the_job_back_without_blame_and_it_goes_on_later():
    studio = Studio(ready(), failures=tuple(RendererDown(cause="gone") for _ in range(5)))
    for _ in range(5):
        await studio.render_next()
        job = studio.jobs.only()
        assert (job.state, job.attempts, job.look_time) == (READY, 0, studio.clock.now() + DOWN_DELAY_S)
        assert job.last_failure.reason == "RENDERER_DOWN"
        assert not await studio.render_next()
        await studio.later(DOWN_DELAY_S)
    await studio.render_next()
    assert (studio.jobs.only().state, studio.jobs.only().attempts) == (SUCCEEDED, 1)


async def test_a_job_under_which_the_renderer_goes_away_ten_times_fails():
    studio = Studio(ready(), failures=tuple(RendererDown(cause="gone") for _ in range(20)))
    for _ in range(MAX_INTERRUPTIONS):
        assert studio.jobs.only().state == READY
        await studio.render_next()
        await studio.later(DOWN_DELAY_S)
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.failure.reason) == (FAILED, 0, "RENDERER_DOWN")
    assert [type(event) for event in studio.jobs.events] == [KeyframeFailed]


async def test_a_job_that_the_renderer_refuses_fails_with_the_reason():
    studio = Studio(ready(), failures=(InvalidValue("spec.seed", -1, "0 or more"),))
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.failure.reason) == (FAILED, 1, "INVALID_VALUE")
    assert job.failure.metadata["field"] == "spec.seed"
    assert [type(event) for event in studio.jobs.events] == [KeyframeFailed]


@pytest.mark.parametrize("failure", [Flicker(), ZeroDivisionError()], ids=["retryable", "unforeseen"])
async def test_an_attempt_that_may_work_later_is_made_three_times(failure):
    studio = Studio(ready(), failures=(failure,) * 9)
    for attempt in (1, 2):
        assert await studio.render_next()
        assert (studio.jobs.only().state, studio.jobs.only().attempts) == (READY, attempt)
        assert studio.jobs.only().look_time - studio.clock.now() == RETRY_DELAY_S * attempt
        assert not await studio.render_next()
        await studio.later(RETRY_DELAY_S * attempt)
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts) == (FAILED, 3)
    assert job.failure.reason == ("FLICKER" if isinstance(failure, Flicker) else "INTERNAL")
    await studio.later(3600)
    assert not await studio.render_next()
    assert len(studio.renderer.drawn) == 3


async def test_a_store_that_is_away_is_not_blamed_on_the_job_however_long_it_lasts():
    away = 50
    studio = Studio(ready(), failures=(DiskFull(),) * away)
    for _ in range(away):
        await studio.render_next()
        job = studio.jobs.only()
        assert (job.state, job.attempts, job.last_failure.reason) == (READY, 0, "DISK_FULL")
        await studio.later(AWAY_DELAY_S)
    await studio.render_next()
    assert studio.jobs.only().state == SUCCEEDED


async def test_a_job_that_waits_for_its_next_attempt_lets_others_go_before():
    studio = Studio(ready(1), ready(2), failures=(DiskFull(),))
    await studio.render_next()
    await studio.render_next()
    assert (await studio.jobs.get(PROJECT, ready(2).id)).state == SUCCEEDED


async def test_a_job_over_which_the_renderer_died_is_drawn_once_more_and_given_up_at_the_second_time():
    died = RendererDown(cause="the stream ended"), RenderCrashed(detail="step ran when the engine died")
    studio = Studio(ready(), failures=died * 2)
    await studio.render_next()
    assert (studio.jobs.only().attempts, studio.jobs.only().crashes) == (0, 0)
    await studio.later(60)
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.crashes, job.last_failure.reason) == (READY, 1, 1, "RENDER_CRASHED")
    for _ in range(2):
        await studio.later(60)
        await studio.render_next()
    assert (studio.jobs.only().state, studio.jobs.only().failure.reason) == (FAILED, "RENDER_CRASHED")


async def test_a_job_that_was_in_line_when_the_renderer_died_over_another_is_not_charged():
    studio = Studio(ready(), failures=(RendererDown(cause="the stream ended"),) * 3)
    for _ in range(3):
        await studio.render_next()
        await studio.later(60)
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.crashes, job.interruptions) == (SUCCEEDED, 1, 0, 3)


async def test_a_renderer_that_ends_without_a_picture_is_blamed_at_most_three_times():
    studio = Studio(ready())
    studio.renderer.ends_without_picture = True
    for _ in range(3):
        await studio.render_next()
        await studio.later(60)
    assert (studio.jobs.only().state, studio.jobs.only().failure.reason) == (FAILED, "PICTURE_MISSING")


async def test_a_job_cancelled_while_it_is_drawn_stops_the_renderer_and_stores_nothing():
    studio = Studio(ready(), lease_s=1e6)  # no renewal comes to its help
    async with studio.drawing() as work:
        await studio.cancel(ready())
        studio.worker.interrupt(ready().id)
        assert await work
    assert studio.renderer.closed == [ready().id]
    assert not studio.files.keyframes
    assert studio.jobs.only().state == CANCELLED
    assert [type(event) for event in studio.jobs.events] == [KeyframeCancelled]
    assert not studio.worker.running


async def test_a_picture_that_comes_after_the_cancellation_is_no_result():
    studio = Studio(ready())
    async with studio.drawing() as work:
        await studio.cancel(ready())
        studio.renderer.may_go_on.set()
        await work
    assert (studio.jobs.only().state, studio.jobs.only().keyframe) == (CANCELLED, None)
    assert [type(event) for event in studio.jobs.events] == [KeyframeCancelled]


async def test_a_cancellation_that_nobody_heard_is_noticed_when_the_lease_is_renewed():
    studio = Studio(ready(), lease_s=0.04)
    async with studio.drawing() as work:
        await studio.cancel(ready())
        await work
    assert studio.renderer.closed == [ready().id]
    assert not studio.files.keyframes


async def test_interrupting_a_job_that_is_not_drawn_here_does_nothing():
    Studio(ready()).worker.interrupt("another")


async def test_a_worker_keeps_its_lease_while_the_renderer_draws():
    studio = Studio(ready(), lease_s=0.04)
    async with studio.drawing() as work:
        studio.clock.seconds += 10
        while studio.jobs.only().lease_until < studio.clock.now():
            await asyncio.sleep(0)
        studio.renderer.may_go_on.set()
        await work
    assert studio.jobs.only().state == SUCCEEDED


async def test_a_worker_that_lost_its_lease_stops_and_leaves_the_job_to_the_other():
    studio = Studio(ready(), lease_s=0.04)
    async with studio.drawing() as work:
        taken = leased(studio.jobs.only(), "another worker")
        studio.jobs.stored[PROJECT, taken.id] = taken
        await work
    assert studio.renderer.closed == [ready().id]
    assert studio.jobs.only() == taken


async def test_a_worker_that_is_shut_down_hands_its_job_back_without_blame():
    studio = Studio(ready())
    async with studio.drawing() as work:
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.lease_token, job.line_key) == (READY, 0, "", job.queue_key)
    assert studio.renderer.closed == [ready().id]
    assert not studio.worker.running


async def test_a_worker_whose_store_hangs_at_its_end_stops_all_the_same():
    studio = Studio(ready())
    async with studio.drawing() as work:
        studio.jobs.broken = DiskFull()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert studio.jobs.only().state == RENDERING


async def test_a_job_that_expires_while_it_is_drawn_ends_then_and_stores_nothing():
    studio = Studio(ready(expire_time=SetClock().now() + 0.02))
    studio.renderer.may_go_on.clear()
    studio.renderer.on_step = lambda: setattr(studio.clock, "seconds", studio.clock.seconds + 1)
    assert await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.failure.reason) == (FAILED, "JOB_EXPIRED")
    assert studio.renderer.closed == [job.id]
    assert not studio.files.keyframes


async def test_a_job_that_waits_for_the_device_spends_no_time_of_its_attempt_and_keeps_its_lease():
    studio = Studio(ready(), lease_s=0.04)
    studio.worker.draw_s = 0.01
    studio.renderer.may_begin.clear()
    work = asyncio.create_task(studio.render_next())
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):  # renewals, each of them later than an attempt may take
            studio.clock.seconds += 10
            while not (jobs := await studio.jobs.rendering()) or jobs[0].job.lease_until < studio.clock.now():
                await asyncio.sleep(0)
        assert not work.done()
        assert not studio.renderer.closed
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_an_attempt_that_takes_too_long_from_its_first_step_on_is_blamed():
    studio = Studio(ready())
    studio.worker.draw_s = 0.01
    studio.renderer.may_go_on.clear()
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.last_failure.reason) == (READY, 1, "ATTEMPT_TOO_LONG")
    assert studio.renderer.closed == [job.id]


async def test_a_job_whose_turn_does_not_come_goes_back_without_blame():
    studio = Studio(ready())
    studio.worker.wait_s = 0.01
    studio.renderer.may_begin.clear()
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.last_failure.reason) == (READY, 0, "TURN_TOO_LATE")
    assert studio.renderer.closed == [job.id]


async def test_a_job_that_expires_while_it_waits_for_the_device_ends_then():
    studio = Studio(ready(expire_time=SetClock().now() + 0.02))
    studio.renderer.may_begin.clear()
    work = asyncio.create_task(studio.render_next())
    while not studio.renderer.drawn:
        await asyncio.sleep(0)
    studio.clock.seconds += 1
    assert await work
    assert studio.jobs.only().failure.reason == "JOB_EXPIRED"


async def test_a_renderer_is_given_the_wait_for_its_turn_and_the_time_of_an_attempt():
    studio = Studio(ready())
    studio.worker.wait_s, studio.worker.draw_s = 40.0, 2.0
    await studio.render_next()
    assert studio.renderer.timeouts == [42.0]


async def test_a_renderer_is_given_what_is_left_of_the_jobs_time():
    studio = Studio(ready(expire_time=SetClock().now() + 42.0))
    await studio.render_next()
    assert studio.renderer.timeouts == [42.0]


async def test_a_job_that_expired_in_line_is_not_drawn():
    studio = Studio(ready(expire_time=SetClock().now() - 1))
    assert await studio.render_next()
    assert studio.jobs.only().failure.reason == "JOB_EXPIRED"
    assert not studio.renderer.drawn


async def test_what_is_leased_counts_as_drawn():
    studio = Studio(ready(7))
    await studio.render_next()
    assert await studio.queue.reserve("another", "take", 0, 1) == 8


async def test_a_job_that_kills_every_worker_is_given_up_and_the_next_one_is_drawn():
    studio = Studio(ready(1), ready(2))
    first = ready(1).id
    for attempts in (0, 1, 2):
        left = await studio.kill_worker_while_drawing()
        assert (left.id, left.attempts) == (first, attempts)
    studio.renderer.may_go_on.set()
    await studio.render_next()
    lost = await studio.jobs.get(PROJECT, first)
    assert (lost.state, lost.failure.reason, lost.failure.metadata) == (FAILED, "WORKER_LOST", {"attempts": "3"})
    assert (await studio.jobs.get(PROJECT, ready(2).id)).state == SUCCEEDED
    assert studio.renderer.drawn == [first] * 3 + [ready(2).id]


async def test_two_workers_never_draw_the_same_job():
    studio = Studio(*(ready(number) for number in range(1, 9)))
    other = studio.another_worker()
    while await asyncio.gather(studio.render_next(), studio.render_next(other)) != [False, False]:
        pass
    assert sorted(studio.renderer.drawn) == sorted(ready(number).id for number in range(1, 9))


async def test_what_became_of_a_job_is_written_as_soon_as_the_store_is_back():
    studio = Studio(ready())
    async with studio.drawing() as work:
        studio.jobs.broken = DiskFull()

        async def back_at_the_second_attempt():
            studio.jobs.before_change = None
            studio.jobs.broken = None

        studio.renderer.may_go_on.set()
        while studio.jobs.refused == 0:
            await asyncio.sleep(0)
        studio.jobs.before_change = back_at_the_second_attempt
        assert await work
    assert studio.jobs.only().state == SUCCEEDED
    assert len(studio.renderer.drawn) == 1


async def test_what_became_of_a_job_is_written_though_the_store_was_away_for_longer_than_a_lease():
    studio = Studio(ready(), lease_s=0.2)
    async with studio.drawing() as work:
        studio.jobs.broken = DiskFull()
        studio.renderer.may_go_on.set()
        while studio.jobs.refused < 40 and not work.done():  # twenty renewals and two results a second
            await asyncio.sleep(0)
        studio.jobs.broken = None
        assert await work
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.last_failure) == (SUCCEEDED, 1, None)
    assert len(studio.renderer.drawn) == 1


async def test_a_result_that_comes_after_the_job_was_given_to_another_changes_nothing():
    studio = Studio(ready(), lease_s=1e6)
    async with studio.drawing() as work:
        studio.jobs.broken = DiskFull()
        studio.renderer.may_go_on.set()
        while studio.jobs.refused == 0:
            await asyncio.sleep(0)
        taken = leased(studio.jobs.only(), "another worker")
        studio.jobs.stored[PROJECT, taken.id] = taken
        studio.jobs.broken = None
        await work
    assert studio.jobs.only() == taken
    assert not studio.jobs.events


async def test_a_worker_waits_for_the_store_within_a_limit():
    studio = Studio(ready())
    (owned,) = await studio.jobs.lease(0.0, 1.0, "worker-1", 1)
    held = HeldJob(owned, "worker-1", LEASE_S, studio.jobs, studio.progress, studio.clock, patience_s=0.0)
    studio.jobs.broken = DiskFull()
    with pytest.raises(DiskFull):
        await held.change(lambda job: None)


async def test_a_store_that_fails_at_the_end_for_good_costs_one_attempt_and_says_why():
    studio = Studio(ready())
    await studio.kill_worker_while_drawing()
    assert (studio.jobs.only().attempts, studio.jobs.only().last_failure.reason) == (1, "WORKER_LOST")
    studio.renderer.may_go_on.set()
    await studio.render_next()
    assert (studio.jobs.only().state, studio.jobs.only().attempts) == (SUCCEEDED, 2)


@pytest.mark.parametrize("answers", ["before the worker is stopped", "afterwards"])
async def test_jobs_that_are_leased_while_the_worker_stops_go_back_without_blame(answers):
    studio = Studio(ready(1), ready(2))
    answered, may_answer = studio.jobs.hold_leases()
    task = asyncio.create_task(studio.worker.run())
    await answered.wait()
    assert {job.state for job in studio.jobs.stored.values()} == {RENDERING, READY}
    if answers != "afterwards":
        may_answer.set()
    task.cancel()
    asyncio.get_running_loop().call_soon(may_answer.set)
    await asyncio.gather(task, return_exceptions=True)
    for number in (1, 2):
        job = studio.jobs.stored[PROJECT, ready(number).id]
        assert (job.state, job.attempts, job.line_key, job.lease_token) == (READY, 0, number, "")
    assert not studio.renderer.drawn


async def test_a_worker_whose_lease_is_never_answered_stops_all_the_same():
    studio = Studio(ready())
    studio.worker.hand_back_s = 0.01
    answered, _ = studio.jobs.hold_leases()
    task = asyncio.create_task(studio.worker.run())
    await answered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert studio.jobs.only().state == RENDERING


async def test_while_the_renderer_is_down_it_is_asked_once_a_second_however_much_work_comes():
    studio = Studio(ready())
    studio.renderer.is_down = True
    for _ in range(50):
        assert not await studio.render_next()
    assert studio.renderer.asked == 1
