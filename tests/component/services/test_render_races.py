"""Who is first where two change the same job, and that the queue is fair and whole, on every store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from pydantic import TypeAdapter

from continuity.documents.port import Document, Documents, Ref
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from continuity.objects.references import DocumentReferences
from services.rendering.adapters.stored_jobs import JOBS, PAGE, StoredJobs
from services.rendering.adapters.stored_jobs import KEYFRAME as KEYFRAME_FIELD
from services.rendering.adapters.stored_queues import DRAWN, QUEUES, Drawn, StoredQueues
from services.rendering.adapters.stored_submissions import SUBMISSIONS, StoredSubmissions
from services.rendering.domain.cast import FrozenCast
from services.rendering.domain.errors import JobFinished, JobMissing
from services.rendering.domain.fair_queue import QueueTail
from services.rendering.domain.job import (
    CANCELLED,
    FINISHED,
    READY,
    RENDERING,
    REQUESTED,
    SUCCEEDED,
    WAITING,
    Deadlines,
    Job,
    cancelled,
    cast_found,
    looked_at,
)
from services.rendering.domain.lease import attempt_failed, lease_lapsed, rendered
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import CODEC
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.lapsed_leases import LapsedLeases
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.unit.rendering.builders import FAILURE, KEYFRAME, PROJECT, TOKEN, job_in, shot, submission
from tests.unit.rendering.fakes import InMemoryFiles, ScriptedRenderer, SetClock, SpokenProgress

END = {"KeyframeRendered": SUCCEEDED, "KeyframeFailed": "failed", "KeyframeCancelled": CANCELLED}
LIMIT_S = 20.0


class NoRelay:
    """Leaves events where they are, so that they can be counted."""

    owner = "nobody"

    def nudge(self, ref: Ref) -> None:
        """Publish nothing."""


@dataclass
class Process:
    """The repositories of one process on the store."""

    documents: Documents
    renderer: str | None = None

    def __post_init__(self) -> None:
        self.jobs = StoredJobs(self._of(Job, JOBS), self.renderer)
        self.submissions = StoredSubmissions(self._of(Submission, SUBMISSIONS))
        self.queues = StoredQueues(self._of(QueueTail, QUEUES), self._of(Drawn, DRAWN))
        self.queue = FairQueue(self.queues, self.jobs, self.submissions, SetClock())

    def _of(self, aggregate, collection):
        return Aggregates(aggregate, collection, self.documents, CODEC, NoRelay())

    async def add(self, *jobs: Job, project: str = PROJECT) -> None:
        await self.jobs.add_each(project, [Change(job) for job in jobs])

    async def ends_told(self, job: Job) -> list[str]:
        waiting = await self.documents.outbox(Ref("jobs", PROJECT, job.id))
        return [END[event.type] for event in waiting if event.type in END]


@pytest.fixture
async def processes(open_documents: Callable[..., Awaitable[Documents]]) -> tuple[Process, Process]:
    """Two that share one store."""
    stores = [await open_documents(JOBS, SUBMISSIONS, QUEUES, DRAWN) for _ in range(2)]
    return Process(stores[0]), Process(stores[1])


@pytest.fixture
def house(processes: tuple[Process, Process]) -> Process:
    return processes[0]


def many(state: str, number: int, **changes: object) -> list[Job]:
    return [
        replace(job_in(state, shot(place)), queue_key=place, line_key=place if state == READY else None, **changes)
        for place in range(1, number + 1)
    ]


async def cancel(house: Process, job: Job) -> None:
    try:
        await house.jobs.change(PROJECT, job.id, lambda job: cancelled(job, 200.0))
    except JobFinished:
        assert (await house.jobs.get(PROJECT, job.id)).state in FINISHED


async def draw(house: Process, job: Job) -> None:
    await house.jobs.change(PROJECT, job.id, lambda job: rendered(job, TOKEN, [KEYFRAME], 200.0))


async def fail(house: Process, job: Job) -> None:
    await house.jobs.change(PROJECT, job.id, lambda job: attempt_failed(job, TOKEN, FAILURE, 200.0, retry_after_s=None))


async def take_back(house: Process, job: Job) -> None:
    await house.jobs.change(PROJECT, job.id, lambda now: lease_lapsed(now, TOKEN, job.lease_until, 200.0))


@pytest.mark.parametrize("rival", [draw, fail, take_back], ids=["rendered", "failed", "taken-back"])
async def test_a_cancellation_of_a_job_at_work_wins_or_loses_cleanly(
    processes: tuple[Process, Process], rival: Callable[[Process, Job], Awaitable[None]]
):
    here, there = processes
    jobs = many(RENDERING, 40)
    await here.add(*jobs)
    await asyncio.gather(*(act for job in jobs for act in (cancel(here, job), rival(there, job), cancel(there, job))))
    for job in jobs:
        ended = await here.jobs.get(PROJECT, job.id)
        assert await here.ends_told(job) == [ended.state]
        assert (ended.keyframe is not None) == (ended.state == SUCCEEDED)
        assert ended.lease_token == ""


async def test_a_cancellation_of_a_job_in_line_and_its_lease_leave_nothing_half_done(processes):
    here, there = processes
    jobs = many(READY, 40)
    await here.add(*jobs)
    cancels = [cancel(here, job) for job in jobs]
    leases = [there.jobs.lease(200.0, 210.0, TOKEN, 1) for _ in jobs]
    await asyncio.gather(*(act for pair in zip(cancels, leases, strict=True) for act in pair))
    for job in jobs:
        ended = await here.jobs.get(PROJECT, job.id)
        assert (ended.state, ended.line_key, ended.lease_token) == (CANCELLED, None, "")
        assert await here.ends_told(job) == [CANCELLED]
    assert await here.jobs.lease(200.0, 210.0, TOKEN, 1) == []


async def test_workers_that_are_stopped_while_they_lease_strand_no_job(house):
    jobs = many(READY, 40)
    await house.add(*jobs)
    held = ScriptedRenderer()
    held.may_go_on.clear()
    tools = (held, InMemoryFiles(), SpokenProgress(), SetClock(), WorkSignal())
    workers = [RenderJobs(house.jobs, house.queue, *tools, lease_s=1e6, slots=2) for _ in range(20)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    while not all(worker.leasing for worker in workers):
        await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    left = await house.jobs.several(PROJECT, [job.id for job in jobs])
    assert {(job.state, job.attempts, job.lease_token) for job in left} == {(READY, 0, "")}
    assert await house.jobs.ahead_of(replace(left[0], queue_key=41), 100) == 40


async def test_eight_workers_of_two_processes_lease_every_job_once_and_in_order(processes):
    await processes[0].add(*many(READY, 200))
    taken: list[list[int]] = []

    async def worker(process: Process, token: str) -> None:
        mine: list[int] = []
        while leased := await process.jobs.lease(200.0, 210.0, token, 3):
            mine += [owned.job.queue_key for owned in leased]
        taken.append(mine)

    await asyncio.gather(*(worker(processes[place % 2], f"worker-{place}") for place in range(8)))
    assert sorted(key for mine in taken for key in mine) == list(range(1, 201))
    assert all(mine == sorted(mine) for mine in taken)


async def test_a_lease_for_urgent_jobs_takes_them_in_order_and_leaves_the_others(house):
    for number, priority in enumerate((0, 79, 80, 100, 80, 79)):
        await house.add(job_in(READY, shot(number), id=f"take-{number}", priority=priority, first_tag=7 + number))
    urgent = await house.jobs.lease(200.0, 210.0, TOKEN, 9, 80)
    assert [owned.job.submission_id for owned in urgent] == ["take-3", "take-2", "take-4"]
    assert {(owned.job.state, owned.job.lease_token) for owned in urgent} == {(RENDERING, TOKEN)}
    assert await house.jobs.lease(200.0, 210.0, TOKEN, 9, 80) == []
    assert [owned.job.priority for owned in await house.jobs.lease(200.0, 210.0, TOKEN, 9)] == [79, 79, 0]


async def test_submissions_of_one_project_in_two_processes_share_no_tag(processes):
    firsts = await asyncio.gather(
        *(processes[place % 2].queue.reserve(PROJECT, f"take-{place}", 0, 25) for place in range(16))
    )
    assert sorted(firsts) == [1 + 25 * place for place in range(16)]


async def test_a_project_with_a_long_backlog_lets_another_go_between_its_shots(house):
    for project, shots in (("ark", 300), ("bow", 10)):
        asked = submission(*(shot(number) for number in range(1, shots + 1)), id=project)
        first = await house.queue.reserve(project, asked.id, 0, shots)
        await house.add(*(_stand(asked, place, first) for place in range(shots)), project=project)
    drawn = await house.jobs.lease(200.0, 210.0, TOKEN, 20)
    assert Counter(owned.project for owned in drawn) == {"ark": 10, "bow": 10}


def _stand(asked: Submission, place: int, first_tag: int) -> Job:
    job = job_in(READY, asked.shots[place], first_tag=first_tag + place)
    return replace(job, id=asked.job_id(asked.shots[place]))


async def test_a_worker_that_comes_back_from_the_dead_overwrites_nothing(processes):
    here, there = processes
    (job,) = many(READY, 1)
    await here.add(job)
    clock, elapsed = SetClock(), SetClock(0.0)

    def worker(process: Process, renderer: ScriptedRenderer) -> RenderJobs:
        tools = (process.queue, renderer, InMemoryFiles(), SpokenProgress(), clock, WorkSignal())
        return RenderJobs(process.jobs, *tools, lease_s=1e6)

    stopped, living = ScriptedRenderer(), ScriptedRenderer()
    living.name = "living 1"
    stopped.may_go_on.clear()
    dead = worker(here, stopped)
    assert await dead.begin() == 1
    async with asyncio.timeout(LIMIT_S):
        await stopped.drawing.wait()
        leases = LapsedLeases(there.jobs, SpokenProgress(), clock, WorkSignal(), 10.0, elapsed.now)
        await leases()
        elapsed.seconds += 10.0
        await leases()
        successor = worker(there, living)
        assert await successor.begin() == 1
        await asyncio.gather(*successor.works.values())
        stopped.may_go_on.set()
        await asyncio.gather(*dead.works.values())
    ended = await here.jobs.get(PROJECT, job.id)
    assert (ended.state, ended.keyframe.renderer) == (SUCCEEDED, "living 1")
    assert await here.ends_told(job) == [SUCCEEDED]


async def test_jobs_that_are_read_together_come_in_the_order_that_was_asked_for(house):
    jobs = many(READY, PAGE + 2)
    await house.add(*jobs)
    wanted = [job.id for job in jobs[::-1]]
    assert [job.id for job in await house.jobs.several(PROJECT, wanted)] == wanted
    with pytest.raises(JobMissing, match="nobody"):
        await house.jobs.several(PROJECT, [*wanted, "nobody"])


async def test_places_and_counts_stop_where_they_are_told_to(house):
    jobs = many(READY, 30)
    await house.add(*jobs)
    await house.add(*many(RENDERING, 5), project="other")
    assert [await house.jobs.ahead_of(jobs[place], 10) for place in (0, 4, 29)] == [0, 4, 10]
    assert [await house.jobs.unfinished(project, 20) for project in ("other", PROJECT, None)] == [5, 20, 20]


async def test_a_job_that_waits_for_its_next_attempt_is_not_leased_and_not_counted_ahead(house):
    first, second = many(READY, 2)
    await house.add(replace(first, line_key=None, look_time=300.0), second)
    assert await house.jobs.ahead_of(second, 10) == 0
    assert [owned.job.id for owned in await house.jobs.lease(200.0, 210.0, TOKEN, 2)] == [second.id]
    assert [owned.job.id for owned in await house.jobs.due(READY, 300.0, 10)] == [first.id]


async def test_jobs_whose_time_is_over_are_found_the_longest_over_first(house):
    await house.add(*(job_in(READY, shot(n), id=f"take-{n}", time_to_live=n * 10.0) for n in (3, 1, 2, 9)))
    await house.add(job_in(READY, shot(5)), job_in(SUCCEEDED, shot(6), id="done", time_to_live=1.0))
    assert [owned.job.expire_time for owned in await house.jobs.due(READY, 130.0, 10)] == [110.0, 120.0, 130.0]


async def test_keyframes_that_jobs_point_at_are_known_to_be_referenced(house):
    await house.add(*many(SUCCEEDED, 1))
    referenced = DocumentReferences(house.documents, (JOBS, KEYFRAME_FIELD))
    assert await referenced([KEYFRAME.object.key, "film/keyframes/other.png"]) == {KEYFRAME.object.key}


async def test_a_job_whose_events_wait_in_its_outbox_is_known_to_have_asked(house: Process) -> None:
    job = job_in(WAITING)
    await house.add(job)
    assert not await house.jobs.has_unpublished(PROJECT, job.id)
    await house.jobs.change(PROJECT, job.id, lambda job: cast_found(job, FrozenCast(), 102.0))
    assert await house.jobs.has_unpublished(PROJECT, job.id)


async def test_jobs_of_a_version_that_knew_no_line_are_found_and_drawn(house: Process) -> None:
    newer = ("line_key", "look_time", "expire_time", "last_failure")
    for state in (READY, REQUESTED, WAITING, RENDERING, SUCCEEDED):
        body = TypeAdapter(Job).dump_python(replace(job_in(state), id=state), mode="json")
        old = {name: value for name, value in body.items() if name not in newer} | {"not_before": 0.0}
        await house.documents.insert(JOBS, Document(PROJECT, state, 0, old))
    await house.add(*many(READY, 3))
    for state in (READY, REQUESTED, WAITING):
        assert [owned.job.id for owned in await house.jobs.astray(state, 10)] == [state]
    assert READY not in {owned.job.id for owned in await house.jobs.lease(1.0, 2.0, "early", 3)}
    (found,) = await house.jobs.astray(READY, 10)
    await house.jobs.change(PROJECT, READY, lambda job: looked_at(job, 200.0, Deadlines(600.0, 600.0)))
    assert await house.jobs.astray(READY, 10) == []
    assert [owned.job.id for owned in await house.jobs.lease(1.0, 2.0, TOKEN, 3)] == [found.job.id]


async def test_a_job_that_was_just_added_is_changed_without_being_read(house, monkeypatch):
    (job,) = many(REQUESTED, 1)
    await house.add(job)

    async def unread(*_: object) -> Document:
        raise AssertionError("it was read")

    with monkeypatch.context() as patched:
        patched.setattr(house.documents, "get", unread)
        assert (await house.jobs.change(PROJECT, job.id, lambda job: cancelled(job, 9.0))).state == CANCELLED
    assert (await house.jobs.get(PROJECT, job.id)).state == CANCELLED


async def test_a_job_that_was_just_added_and_that_another_process_has_changed_since_is_read(processes):
    here, elsewhere = processes
    (job,) = many(REQUESTED, 1)
    await here.add(job)
    await elsewhere.jobs.change(PROJECT, job.id, lambda job: cancelled(job, 9.0))
    seen: list[str] = []

    def note(job: Job) -> Change[Job]:
        seen.append(job.state)
        return Change(replace(job, attempts=3))

    assert (await here.jobs.change(PROJECT, job.id, note)).state == CANCELLED
    assert seen == [REQUESTED, CANCELLED]


@pytest.mark.parametrize("least_priority", [0, 80], ids=["any", "urgent"])
async def test_a_job_is_leased_where_its_renderer_draws_and_nowhere_else(house: Process, least_priority: int) -> None:
    previz, sdxl = (Process(house.documents, renderer) for renderer in ("previz", "sdxl"))
    first, second, anybodys = many(READY, 3, priority=90)
    await house.add(replace(first, renderer="sdxl"), replace(second, renderer="previz"), anybodys)
    assert await previz.jobs.undrawn(9) == 2
    leased = [one for _ in range(3) for one in await previz.jobs.lease(200.0, 210.0, TOKEN, 9, least_priority)]
    assert {owned.job.id for owned in leased} == {second.id, anybodys.id}
    assert [await each.jobs.undrawn(9) for each in (previz, sdxl)] == [2, 2], "those that are drawn are not finished"
    leased = await sdxl.jobs.lease(200.0, 210.0, TOKEN, 9, least_priority)
    assert [(owned.job.id, owned.job.renderer) for owned in leased] == [(first.id, "sdxl")]


async def test_what_waits_for_another_renderer_is_not_counted_ahead(house: Process) -> None:
    first, second, third = many(READY, 3, renderer="sdxl")
    await house.add(replace(first, renderer="previz"), second, third)
    assert [await house.jobs.ahead_of(job, 9) for job in (first, second, third)] == [0, 0, 1]


async def test_jobs_of_a_version_that_knew_no_renderers_come_first_and_in_order(house: Process) -> None:
    previz = Process(house.documents, "previz")
    old, new = many(READY, 4)[:2], [replace(job, renderer="previz") for job in many(READY, 4)[2:]]
    await house.add(*new, *old)
    leased = [owned.job.id for _ in range(4) for owned in await previz.jobs.lease(200.0, 210.0, TOKEN, 1)]
    assert leased == [job.id for job in (*old, *new)]
    assert await previz.jobs.lease(200.0, 210.0, TOKEN, 1) == []
    late, newer = (replace(job_in(READY, shot(place)), queue_key=place, line_key=place) for place in (5, 6))
    await house.add(late, replace(newer, renderer="previz"))
    assert [owned.job.id for owned in await previz.jobs.lease(200.0, 210.0, TOKEN, 1)] == [newer.id]
    assert [owned.job.id for owned in await previz.jobs.lease(200.0, 210.0, TOKEN, 1)] == [late.id]


async def test_a_job_that_nobody_here_may_draw_ends_when_its_time_is_over(house: Process) -> None:
    (job,) = many(READY, 1, renderer="sdxl", expire_time=300.0, look_time=300.0)
    previz = Process(house.documents, "previz")
    await previz.add(job)
    (due,) = await previz.jobs.due(READY, 301.0, 9)
    ended = await previz.jobs.change(PROJECT, due.job.id, lambda it: looked_at(it, 301.0, Deadlines(9.0, 9.0)))
    assert ended.failure is not None
    assert ended.failure.reason == "JOB_EXPIRED"
