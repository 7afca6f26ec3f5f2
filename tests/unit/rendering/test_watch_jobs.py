from __future__ import annotations

from dataclasses import replace

import pytest

from services.rendering.domain.errors import JobFinished, JobMissing, SubmissionMissing, WatchesFull
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import CANCELLED, FAILED, READY, RENDERING, SUCCEEDED, Job
from services.rendering.domain.lease import rendered
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.watch_jobs import LOOK_AGAIN_S, LOOKS_PER_S, Watches, WatchJobs
from tests.unit.rendering.builders import KEYFRAME, PROJECT, TOKEN, after, job_in, shot, submission
from tests.unit.rendering.fakes import InMemoryJobs, InMemorySubmissions, SetClock, SpokenProgress


class Watching:
    def __init__(self, *jobs: Job) -> None:
        self.jobs = InMemoryJobs(*jobs)
        self.progress = SpokenProgress()
        self.clock = SetClock()
        self.submissions = InMemorySubmissions()
        self.watches = Watches(max_watches=2, max_jobs=1_000)
        self.watch = WatchJobs(self.jobs, self.submissions, self.progress, self.watches, self.clock.now)
        self.updates = self.watch(PROJECT, [job.id for job in jobs], "")

    async def becomes(self, job: Job) -> None:
        """Change elsewhere: from other processes only words come."""
        self.jobs.stored[PROJECT, job.id] = job
        await self.progress.tell(PROJECT, RenderProgressed(job.id, job.state))

    async def becomes_here(self, job: Job) -> None:
        self.jobs.stored[PROJECT, job.id] = job
        await self.progress.tell(PROJECT, job)


def first(state: str) -> Job:
    return job_in(state, shot(1))


def at(later_s: float, job: Job) -> Job:
    return replace(job, update_time=job.update_time + later_s)


async def test_words_that_come_late_show_the_job_as_it_is_by_then():
    watching = Watching(first(READY))
    assert await anext(watching.updates) == first(READY)
    await watching.becomes(first(RENDERING))
    step = RenderProgressed(first(READY).id, RENDERING, 1, 4)
    await watching.progress.tell(PROJECT, step)
    await watching.becomes(first(SUCCEEDED))
    assert [update async for update in watching.updates] == [first(SUCCEEDED)]
    assert not watching.progress.feeds


async def test_an_end_that_another_process_told_is_not_hidden_by_a_late_word_of_this_one():
    watching = Watching(first(RENDERING))
    await anext(watching.updates)
    watching.progress.feeds[0].on_silence = _nobody_waits
    await watching.becomes(at(5, first(SUCCEEDED)))
    await watching.progress.tell(PROJECT, at(1, first(READY)))
    assert [update async for update in watching.updates] == [at(5, first(SUCCEEDED))]


async def test_an_end_is_shown_though_the_clock_was_set_back_before_it():
    watching = Watching(first(READY))
    await anext(watching.updates)
    watching.progress.feeds[0].on_silence = _nobody_waits
    await watching.becomes_here(at(100, first(RENDERING)))
    await watching.becomes_here(at(-500, first(SUCCEEDED)))
    assert [update async for update in watching.updates] == [at(-500, first(SUCCEEDED))]


async def _nobody_waits() -> None:
    raise AssertionError("what was told already is waited for")


async def test_steps_between_changes_are_passed_on():
    watching = Watching(first(RENDERING))
    await anext(watching.updates)
    step = RenderProgressed(first(READY).id, RENDERING, 1, 4)
    await watching.progress.tell(PROJECT, step)
    assert await anext(watching.updates) == step
    await watching.updates.aclose()
    assert not watching.progress.feeds


async def test_what_happens_while_the_documents_are_read_is_not_missed():
    jobs = [job_in(READY, shot(number)) for number in (1, 2)]
    watching = Watching(*jobs)
    await anext(watching.updates)
    await watching.becomes(job_in(FAILED, shot(1)))  # read already, its end is only told
    assert await anext(watching.updates) == jobs[1]
    assert await anext(watching.updates) == job_in(FAILED, shot(1))


async def test_lost_words_are_made_up_for_by_reading_again():
    watching = Watching(first(READY))
    await anext(watching.updates)
    watching.progress.loses_words = True
    watching.progress.feeds[0].on_silence = lambda: watching.becomes(first(SUCCEEDED))
    assert [update async for update in watching.updates] == [first(SUCCEEDED)]


async def test_a_watch_ends_only_when_all_are_finished():
    open_job, ended = job_in(RENDERING, shot(1)), job_in(CANCELLED, shot(2))
    watching = Watching(open_job, ended)
    assert [await anext(watching.updates) for _ in range(2)] == [open_job, ended]
    await watching.becomes(after(rendered(open_job, TOKEN, [KEYFRAME], 9.0)))
    assert [update.state async for update in watching.updates] == [SUCCEEDED]


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED, CANCELLED])
async def test_a_watch_of_finished_jobs_ends_at_once(state):
    assert [update async for update in Watching(first(state)).updates] == [first(state)]


async def test_a_whole_submission_is_watched_in_the_order_of_its_shots():
    asked = submission(shot(2), shot(1))
    jobs = [replace(job_in(FAILED, one), id=asked.job_id(one)) for one in asked.shots]
    watching = Watching(*jobs[::-1])
    await watching.submissions.add(PROJECT, asked)
    seen = [update async for update in watching.watch(PROJECT, (), "submission")]
    assert seen == jobs


async def test_what_does_not_exist_or_is_anothers_cannot_be_watched():
    watching = Watching(first(READY))
    with pytest.raises(JobMissing):
        await anext(watching.watch(PROJECT, ["unknown"], ""))
    with pytest.raises(JobMissing):
        await anext(watching.watch("other", [first(READY).id], ""))
    with pytest.raises(SubmissionMissing, match="submission"):
        await anext(watching.watch("other", (), "submission"))
    assert not watching.progress.feeds


async def test_a_cancelled_job_is_told_of():
    watching = Watching(first(RENDERING))
    await anext(watching.updates)
    cancel = CancelJob(watching.jobs, watching.progress, SetClock())
    assert (await cancel(PROJECT, first(READY).id)).state == CANCELLED
    assert [update.state async for update in watching.updates] == [CANCELLED]
    assert (await cancel(PROJECT, first(READY).id)).state == CANCELLED


async def test_a_finished_job_is_not_cancelled_and_anothers_does_not_exist():
    watching = Watching(first(SUCCEEDED))
    cancel = CancelJob(watching.jobs, watching.progress, SetClock())
    with pytest.raises(JobFinished):
        await cancel(PROJECT, first(READY).id)
    with pytest.raises(JobMissing):
        await cancel("other", first(READY).id)


async def test_a_busy_watch_finds_a_job_whose_end_was_not_told():
    silent, busy = job_in(RENDERING, shot(1)), job_in(RENDERING, shot(2))
    watching = Watching(silent, busy)
    assert [await anext(watching.updates), await anext(watching.updates)] == [silent, busy]
    watching.jobs.stored[PROJECT, silent.id] = job_in(SUCCEEDED, shot(1))
    step = RenderProgressed(busy.id, RENDERING, 1, 4)
    for _ in range(3):
        await watching.progress.tell(PROJECT, step)
    assert await anext(watching.updates) == step
    watching.clock.seconds += LOOK_AGAIN_S
    assert await anext(watching.updates) == job_in(SUCCEEDED, shot(1))
    await watching.updates.aclose()


async def test_more_watches_than_there_is_room_for_are_refused_until_one_ends():
    watching = Watching(first(RENDERING))
    watches = [watching.watch(PROJECT, [first(RENDERING).id], "") for _ in range(3)]
    await anext(watches[0])
    await anext(watches[1])
    with pytest.raises(WatchesFull):
        await anext(watches[2])
    await watches[0].aclose()
    await anext(watching.watch(PROJECT, [first(RENDERING).id], ""))


async def test_more_watched_jobs_than_there_is_room_for_are_refused():
    watching = Watching(first(RENDERING))
    with pytest.raises(WatchesFull, match="watches of 0 jobs"):
        await anext(watching.watch(PROJECT, [first(RENDERING).id] * 1_001, ""))
    assert (watching.watches.watches, watching.watches.jobs) == (0, 0)


async def test_where_many_jobs_are_open_their_documents_are_read_again_less_often():
    jobs = [job_in(READY, shot(number)) for number in range(1, LOOKS_PER_S * 5 + 1)]
    watching = Watching(*jobs)
    for _ in jobs:
        await anext(watching.updates)
    read, waits = watching.jobs.reads, []

    async def finish() -> None:
        waits.append(watching.progress.feeds[0].waited_s)
        for job in jobs:
            watching.jobs.stored[PROJECT, job.id] = job_in(FAILED, job.shot)

    watching.progress.feeds[0].on_silence = finish
    assert len([update async for update in watching.updates]) == len(jobs)
    assert waits == [pytest.approx(5.0)]
    assert watching.jobs.reads == read + 1


async def test_words_that_have_gathered_cost_one_read_and_of_each_job_the_last_counts():
    jobs = [job_in(READY, shot(number)) for number in (1, 2, 3)]
    watching = Watching(*jobs)
    for _ in jobs:
        await anext(watching.updates)
    read = watching.jobs.reads
    for job in jobs:
        await watching.progress.tell(PROJECT, RenderProgressed(job.id, RENDERING))
        await watching.becomes(job_in(FAILED, job.shot))
    assert [update.state async for update in watching.updates] == [FAILED] * 3
    assert watching.jobs.reads == read + 1


async def test_of_many_open_jobs_ends_are_read_at_once_and_changes_that_others_follow_together():
    jobs = [job_in(READY, shot(number)) for number in range(1, 6)]
    watching = Watching(*jobs)
    for _ in jobs:
        await anext(watching.updates)
    await watching.becomes(job_in(RENDERING, shot(1)))
    assert await anext(watching.updates) == job_in(RENDERING, shot(1))
    read = watching.jobs.reads
    await watching.becomes(job_in(RENDERING, shot(2)))
    await watching.becomes(job_in(RENDERING, shot(3)))
    await watching.becomes(job_in(FAILED, shot(4)))
    assert await anext(watching.updates) == job_in(FAILED, shot(4))
    assert watching.jobs.reads == read + 1
    assert [await anext(watching.updates) for _ in range(2)] == [job_in(RENDERING, shot(n)) for n in (2, 3)]
    assert watching.jobs.reads == read + 2
    await watching.updates.aclose()


async def test_what_this_process_writes_is_shown_as_it_was_written_and_not_read_again():
    watching = Watching(first(READY))
    await anext(watching.updates)
    read = watching.jobs.reads
    step = RenderProgressed(first(READY).id, RENDERING, 1, 4)
    await watching.becomes_here(first(RENDERING))
    assert await anext(watching.updates) == first(RENDERING)
    await watching.progress.tell(PROJECT, step)
    assert await anext(watching.updates) == step
    drawn = at(2.0, first(SUCCEEDED))
    await watching.progress.tell(PROJECT, drawn)
    await watching.progress.tell(PROJECT, at(1.0, first(RENDERING)))  # said too late
    assert [update async for update in watching.updates] == [drawn]
    assert watching.jobs.reads == read


async def test_a_job_that_is_told_here_after_another_process_has_moved_it_on_is_read():
    watching = Watching(first(READY))
    await anext(watching.updates)
    drawing = at(2.0, first(RENDERING))
    await watching.becomes(drawing)
    assert await anext(watching.updates) == drawing
    await watching.progress.tell(PROJECT, at(1.0, first(READY)))
    back = at(3.0, first(READY))
    watching.jobs.stored[PROJECT, back.id] = back
    assert await anext(watching.updates) == back
    await watching.updates.aclose()


async def test_of_many_open_jobs_a_state_that_is_soon_left_is_not_shown():
    jobs = [job_in(READY, shot(number)) for number in range(1, 6)]
    watching = Watching(*jobs)
    for _ in jobs:
        await anext(watching.updates)
    await watching.becomes_here(job_in(RENDERING, shot(1)))
    assert await anext(watching.updates) == job_in(RENDERING, shot(1))
    await watching.becomes_here(job_in(RENDERING, shot(2)))
    await watching.becomes_here(job_in(FAILED, shot(3)))
    assert await anext(watching.updates) == job_in(FAILED, shot(3))
    await watching.becomes_here(job_in(FAILED, shot(2)))
    assert await anext(watching.updates) == job_in(FAILED, shot(2))
    await watching.updates.aclose()
