from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from continuity.kernel.errors import InvalidValue, Unavailable
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, KeyframeRendered
from services.rendering.domain.job import CANCELLED, FAILED, MAX_INTERRUPTIONS, READY, RENDERING, SUCCEEDED, Job
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.render_jobs import DOWN_DELAY_S, LEASE_S, RETRY_DELAY_S, RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import PROJECT, job_in, leased, shot
from tests.unit.rendering.fakes import InMemoryFiles, InMemoryJobs, ScriptedRenderer, SetClock, SpokenProgress

LIMIT_S = 20


class DiskFull(Unavailable):
    template = "no space left"


class Studio:
    """A worker with everything around it; ``lease_s`` is short where a test waits for a renewal."""

    def __init__(self, *jobs: Job, failures: tuple[Exception, ...] = (), lease_s: float = LEASE_S) -> None:
        self.jobs = InMemoryJobs(*jobs)
        self.renderer = ScriptedRenderer(*failures)
        self.files = InMemoryFiles()
        self.progress = SpokenProgress()
        self.clock = SetClock()
        self.worker = self.another_worker(lease_s)

    def another_worker(self, lease_s: float = LEASE_S) -> RenderJobs:
        return RenderJobs(
            self.jobs, self.renderer, self.files, self.progress, self.clock, WorkSignal(), lease_s=lease_s
        )

    async def cancel(self, job: Job) -> Job:
        return await CancelJob(self.jobs, self.progress, self.clock)(PROJECT, job.id)

    @asynccontextmanager
    async def drawing(self) -> AsyncIterator[asyncio.Task[bool]]:
        """The worker at its first job, between two steps, held there until ``may_go_on``."""
        self.renderer.may_go_on.clear()
        self.renderer.drawing.clear()
        task = asyncio.create_task(self.worker.render_next())
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
        self.clock.seconds += LEASE_S
        return left


def ready(number: int = 1, **changes: object) -> Job:
    return replace(job_in(READY, shot(number)), queue_key=number, **changes)  # type: ignore[arg-type]


async def test_the_first_job_of_the_queue_is_drawn_stored_and_told():
    studio = Studio(ready(2), ready(1))
    assert await studio.worker.render_next()
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
    assert not await Studio().worker.render_next()


async def test_a_renderer_that_is_down_leaves_the_queue_alone():
    studio = Studio(ready())
    studio.renderer.is_down = True
    assert not await studio.worker.render_next()
    assert studio.jobs.only() == ready()


async def test_a_renderer_that_goes_down_gives_the_job_back_without_blame_and_it_goes_on_later():
    studio = Studio(ready(), failures=tuple(RendererDown(cause="gone") for _ in range(5)))
    for _ in range(5):
        await studio.worker.render_next()
        job = studio.jobs.only()
        assert (job.state, job.attempts, job.not_before) == (READY, 0, studio.clock.now() + DOWN_DELAY_S)
        assert not await studio.worker.render_next()
        studio.clock.seconds += DOWN_DELAY_S
    await studio.worker.render_next()
    assert (studio.jobs.only().state, studio.jobs.only().attempts) == (SUCCEEDED, 1)


async def test_a_job_under_which_the_renderer_goes_away_ten_times_fails():
    studio = Studio(ready(), failures=tuple(RendererDown(cause="gone") for _ in range(20)))
    for _ in range(MAX_INTERRUPTIONS):
        assert studio.jobs.only().state == READY
        await studio.worker.render_next()
        studio.clock.seconds += DOWN_DELAY_S
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.failure.reason) == (FAILED, 0, "RENDERER_DOWN")
    assert [type(event) for event in studio.jobs.events] == [KeyframeFailed]


async def test_a_job_that_the_renderer_refuses_fails_with_the_reason():
    studio = Studio(ready(), failures=(InvalidValue("spec.seed", -1, "0 or more"),))
    await studio.worker.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts, job.failure.reason) == (FAILED, 1, "INVALID_VALUE")
    assert job.failure.metadata["field"] == "spec.seed"
    assert [type(event) for event in studio.jobs.events] == [KeyframeFailed]


@pytest.mark.parametrize("failure", [DiskFull(), ZeroDivisionError()], ids=["retryable", "unforeseen"])
async def test_an_attempt_that_may_work_later_is_made_three_times(failure):
    studio = Studio(ready(), failures=(failure,) * 9)
    for attempt in (1, 2):
        assert await studio.worker.render_next()
        assert (studio.jobs.only().state, studio.jobs.only().attempts) == (READY, attempt)
        assert not await studio.worker.render_next()
        studio.clock.seconds += RETRY_DELAY_S
    await studio.worker.render_next()
    job = studio.jobs.only()
    assert (job.state, job.attempts) == (FAILED, 3)
    assert job.failure.reason == ("DISK_FULL" if isinstance(failure, DiskFull) else "INTERNAL")
    studio.clock.seconds += 3600
    assert not await studio.worker.render_next()
    assert len(studio.renderer.drawn) == 3


async def test_a_job_that_waits_for_its_next_attempt_lets_others_go_before():
    studio = Studio(ready(1), ready(2), failures=(DiskFull(),))
    await studio.worker.render_next()
    await studio.worker.render_next()
    assert (await studio.jobs.get(PROJECT, ready(2).id)).state == SUCCEEDED


async def test_a_renderer_that_ends_without_a_picture_is_blamed_at_most_three_times():
    studio = Studio(ready())
    studio.renderer.ends_without_picture = True
    for _ in range(3):
        await studio.worker.render_next()
        studio.clock.seconds += RETRY_DELAY_S
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
    assert (job.state, job.attempts, job.lease_token, job.not_before) == (READY, 0, "", studio.clock.now())
    assert studio.renderer.closed == [ready().id]
    assert not studio.worker.running


async def test_a_lapsed_lease_is_taken_over_and_counts_as_an_attempt():
    studio = Studio(leased(ready(), "dead worker", until=studio_time(-1)))
    await studio.worker.render_next()
    assert (studio.jobs.only().state, studio.jobs.only().attempts) == (SUCCEEDED, 2)


async def test_a_lease_that_holds_is_not_taken_over():
    held = leased(ready(), "other worker", until=studio_time(+1))
    studio = Studio(held)
    assert not await studio.worker.render_next()
    assert studio.jobs.only() == held


async def test_a_job_that_kills_every_worker_is_given_up_and_the_next_one_is_drawn():
    studio = Studio(ready(1), ready(2))
    first = ready(1).id
    for attempts in (0, 1, 2):
        left = await studio.kill_worker_while_drawing()
        assert (left.id, left.attempts) == (first, attempts)
    studio.renderer.may_go_on.set()
    await studio.worker.render_next()
    lost = await studio.jobs.get(PROJECT, first)
    assert (lost.state, lost.failure.reason, lost.failure.metadata) == (FAILED, "WORKER_LOST", {"attempts": "3"})
    assert (await studio.jobs.get(PROJECT, ready(2).id)).state == SUCCEEDED
    assert studio.renderer.drawn == [first] * 3 + [ready(2).id]


async def test_two_workers_never_draw_the_same_job():
    studio = Studio(*(ready(number) for number in range(1, 9)))
    other = studio.another_worker()
    while await asyncio.gather(studio.worker.render_next(), other.render_next()) != [False, False]:
        pass
    assert sorted(studio.renderer.drawn) == sorted(ready(number).id for number in range(1, 9))


async def test_a_store_that_fails_at_the_end_costs_the_lease_and_nothing_else():
    studio = Studio(ready())
    async with studio.drawing() as work:
        studio.jobs.broken = DiskFull()
        studio.renderer.may_go_on.set()
        assert await work
    studio.jobs.broken = None
    assert studio.jobs.only().state == RENDERING
    studio.clock.seconds += LEASE_S
    await studio.worker.render_next()
    assert studio.jobs.only().state == SUCCEEDED


def studio_time(later_s: float) -> float:
    return SetClock().now() + later_s
