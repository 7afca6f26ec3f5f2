from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rendering.domain.fair_queue import (
    MAX_OPEN_S,
    OPEN_LIMIT,
    TAGS,
    TOP_PRIORITY,
    QueueTail,
    Reservation,
    last_key,
    queue_key,
    reserved,
    tag_of,
)
from services.rendering.domain.job import CANCELLED, READY
from services.rendering.handlers.fair_queue import FairQueue
from tests.unit.rendering.builders import job_in, shot, submission
from tests.unit.rendering.fakes import InMemoryJobs, InMemoryQueues, InMemorySubmissions, SetClock

PROJECTS = st.sampled_from(["ark", "bow", "cab"])


class Line:
    """The whole queue: projects submit, and one shot after another is drawn."""

    def __init__(self) -> None:
        self.tails: dict[tuple[str, int], QueueTail] = {}
        self.waiting: list[tuple[int, str, int]] = []
        self.drawn_tags: Counter[int] = Counter()
        self._numbers: Iterator[int] = count()

    def submit(self, project: str, shots: int, priority: int = 0) -> list[int]:
        """Stand that many shots in line; return their numbers, which go up with every shot."""
        empty = all(owner != project for _, owner, _ in self.waiting)
        before = self.tails.get((project, priority), QueueTail())
        tail = reserved(
            before,
            Reservation(f"{next(self._numbers)}", 0.0),
            shots,
            drawn_tag=self.drawn_tags[priority],
            closed={each.submission_id for each in before.open},
            empty=empty,
        )
        self.tails[project, priority] = tail
        numbers = [next(self._numbers) for _ in range(shots)]
        tags = range(tail.last_tag - shots + 1, tail.last_tag + 1)
        self.waiting += [(queue_key(priority, tag), project, number) for tag, number in zip(tags, numbers, strict=True)]
        return numbers

    def draw(self) -> tuple[str, int]:
        """Take the first shot in line; return its project and number."""
        first = min(self.waiting)
        self.waiting.remove(first)
        key, project, number = first
        priority = TOP_PRIORITY - key // 10**16
        self.drawn_tags[priority] = max(self.drawn_tags[priority], tag_of(key))
        return project, number

    def cancel(self, project: str) -> None:
        self.waiting = [each for each in self.waiting if each[1] != project]


@given(backlog=st.integers(1, 2_000), drawn=st.integers(0, 50), few=st.integers(1, 10))
@settings(max_examples=25, deadline=None)
def test_a_projects_backlog_delays_anothers_few_shots_by_as_many_shots_at_most(backlog, drawn, few):
    line = Line()
    line.submit("ark", backlog)
    for _ in range(min(drawn, backlog)):
        line.draw()
    line.submit("bow", few)
    served: Counter[str] = Counter()
    while served["bow"] < few:
        served[line.draw()[0]] += 1
    assert served["ark"] <= few


def test_two_thousand_shots_delay_another_projects_ten_by_ten():
    line = Line()
    line.submit("ark", 2_000)
    line.submit("bow", 10)
    order = [line.draw()[0] for _ in range(20)]
    assert Counter(order) == {"ark": 10, "bow": 10}


@given(st.lists(st.tuples(PROJECTS, st.integers(0, 6), st.integers(0, 2), st.integers(0, 8)), max_size=30))
@settings(deadline=None)
def test_within_a_project_and_priority_shots_are_drawn_in_the_order_of_submission(steps):
    line, drawn, priorities = Line(), [], {}
    for project, shots, priority, draws in steps:
        if shots:
            priorities |= dict.fromkeys(line.submit(project, shots, priority), priority)
        drawn += [line.draw() for _ in range(min(draws, len(line.waiting)))]
    drawn += [line.draw() for _ in range(len(line.waiting))]
    for owner in {project for project, _ in drawn}:
        for level in (0, 1, 2):
            numbers = [number for project, number in drawn if project == owner and priorities[number] == level]
            assert numbers == sorted(numbers)


@given(st.lists(st.tuples(PROJECTS, st.integers(1, 5), st.integers(0, 100)), min_size=1, max_size=12))
@settings(deadline=None)
def test_a_higher_priority_goes_before_everything_else(submissions):
    line, priorities = Line(), {}
    for project, shots, priority in submissions:
        priorities |= dict.fromkeys(line.submit(project, shots, priority), priority)
    drawn = [priorities[line.draw()[1]] for _ in range(len(line.waiting))]
    assert drawn == sorted(drawn, reverse=True)


@given(away=st.integers(0, 300), own=st.integers(1, 40), others=st.integers(100, 200), cancels=st.booleans())
@settings(deadline=None)
def test_a_project_that_was_away_earns_nothing_and_one_that_was_there_loses_nothing(away, own, others, cancels):
    """However long a project was away, from its return on it gets every other turn, neither more nor less."""
    line = Line()
    line.submit("ark", others + away)
    line.submit("bow", 3)
    if cancels:
        line.cancel("bow")
    for _ in range(away):
        line.draw()
    line.submit("bow", own)
    turns = [line.draw()[0] for _ in range(2 * own)]
    assert abs(turns.count("bow") - turns.count("ark")) <= 4


def test_shots_that_were_cancelled_are_not_held_against_their_project():
    line = Line()
    line.submit("bow", 2_000)
    line.submit("ark", 2_000)
    line.cancel("ark")
    line.submit("ark", 10)
    assert Counter(line.draw()[0] for _ in range(20))["ark"] == 10


def test_after_an_idle_time_everybody_begins_side_by_side():
    line = Line()
    line.submit("ark", 50)
    for _ in range(50):
        line.draw()
    line.submit("bow", 30)
    line.submit("ark", 10)
    assert Counter(line.draw()[0] for _ in range(20)) == {"ark": 10, "bow": 10}


@pytest.mark.parametrize("priority", [0, TOP_PRIORITY])
def test_a_queue_key_fits_a_signed_64_bit_integer(priority):
    assert 0 < queue_key(priority, 10**16 - 1) < 2**61
    assert tag_of(queue_key(priority, 77)) == 77


@given(st.integers(0, TOP_PRIORITY), st.integers(0, TOP_PRIORITY), st.integers(0, TAGS - 1))
def test_the_last_key_of_a_priority_is_behind_its_tags_and_those_of_higher_ones_alone(least, priority, tag):
    assert (queue_key(priority, tag) <= last_key(least)) == (priority >= least)


class Service:
    def __init__(self) -> None:
        self.queues, self.jobs, self.submissions = InMemoryQueues(), InMemoryJobs(), InMemorySubmissions()
        self.clock = SetClock()
        self.queue = self.replica()

    def replica(self) -> FairQueue:
        return FairQueue(self.queues, self.jobs, self.submissions, self.clock)

    async def submit(self, id: str, shots: int, state: str = READY) -> range:
        """Reserve, and write the submission and one job in a state; return the tags."""
        first = await self.queue.reserve("film", id, 0, shots)
        asked = submission(shot(1), id=id, first_tag=first)
        await self.submissions.add("film", asked)
        job = job_in(state, id=id, first_tag=first)
        self.jobs.stored["film", job.id] = job
        await self.submissions.fanned_out("film", id)
        return range(first, first + shots)


async def test_submissions_of_one_project_at_once_share_no_tag():
    service = Service()
    ranges: list[range] = []

    async def another() -> None:
        ranges.append(await service.submit("second", 7))

    service.queues.before_extend = another
    ranges.append(await service.submit("first", 5))
    assert len({tag for tags in ranges for tag in tags}) == 12


async def test_reservations_whose_submissions_are_not_written_yet_share_no_tag():
    service = Service()
    firsts = await asyncio.gather(*(service.queue.reserve("film", f"take-{n}", 0, 10) for n in range(8)))
    assert sorted(firsts) == [1, 11, 21, 31, 41, 51, 61, 71]
    assert await service.queue.reserve("film", "next", 0, 1) == 81


async def test_a_project_with_nothing_left_begins_where_the_queue_is():
    service = Service()
    await service.submit("first", 100, CANCELLED)
    assert await service.queue.reserve("film", "second", 0, 1) == 1


async def test_a_project_with_something_left_goes_on_behind_it():
    service = Service()
    await service.submit("first", 100)
    assert await service.queue.reserve("film", "second", 0, 1) == 101


async def test_a_submission_that_was_never_written_is_forgotten_after_a_while():
    service = Service()
    await service.queue.reserve("film", "lost", 0, 100)
    service.clock.seconds += MAX_OPEN_S + 1
    assert await service.queue.reserve("film", "next", 0, 1) == 1
    assert len((await service.queues.tail("film", 0)).open) == 1


async def test_reservations_that_stay_open_are_not_kept_without_limit_and_hide_no_later_ones():
    service = Service()
    for number in range(20):
        await service.submissions.add("film", submission(id=f"stuck-{number}"))
        await service.queue.reserve("film", f"stuck-{number}", 0, 1)
    for number in range(3 * OPEN_LIMIT):
        await service.submit(f"take-{number}", 1, CANCELLED)
        assert len((await service.queues.tail("film", 0)).open) <= OPEN_LIMIT
    for number in range(20):
        await service.queue.reserve("film", f"next-{number}", 0, 1)
    left = {each.submission_id for each in (await service.queues.tail("film", 0)).open}
    assert not {id for id in left if id.startswith("take")}


async def test_how_far_the_queue_was_drawn_reaches_other_processes_and_outlives_this_one():
    service = Service()
    other = service.replica()
    await other.reserve("another", "early", 0, 1)
    service.queue.drawn(job_in(READY, first_tag=500))
    assert await service.queue.reserve("film", "here", 0, 1) == 501
    await service.queue.exchange()
    await other.exchange()
    assert await other.reserve("third", "there", 0, 1) == 501
    assert await service.replica().reserve("fourth", "later", 0, 1) == 501


async def test_a_retry_from_long_ago_does_not_turn_the_queue_back():
    service = Service()
    service.queue.drawn(job_in(READY, first_tag=500))
    service.queue.drawn(job_in(READY, first_tag=3))
    assert await service.queue.reserve("film", "next", 0, 1) == 501
