from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from services.rendering.domain.errors import QueueFull
from services.rendering.domain.job import READY, SUCCEEDED
from services.rendering.handlers.admission import (
    COUNT_AGAIN_S,
    COUNT_SOONER_S,
    COUNTING_SHARE,
    MAX_TALLIES,
    Admission,
)
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.fakes import InMemoryJobs, SetClock

LIMIT = 100
OF_PROJECT = LIMIT // 2


class Door:
    def __init__(self) -> None:
        self.jobs = InMemoryJobs()
        self.clock = SetClock()
        self.counts, self.count_s = 0, 0.0
        self.jobs.unfinished = self._count
        self.admission = self.another_door()
        self._number = 0

    def another_door(self) -> Admission:
        return Admission(self.jobs, LIMIT, self.clock.now)

    async def submit(self, shots: int, project: str = PROJECT, admission: Admission | None = None) -> None:
        async with (admission or self.admission).admitted(project, shots):
            for _ in range(shots):
                await asyncio.sleep(0)
                self._number += 1
                job = job_in(READY, shot(self._number))
                self.jobs.stored[project, job.id] = job

    def finish(self, shots: int) -> None:
        left = [(key, job) for key, job in self.jobs.stored.items() if not job.finished]
        for key, job in left[:shots]:
            self.jobs.stored[key] = job_in(SUCCEEDED, job.shot)

    async def _count(self, project: str | None, limit: int) -> int:
        counted = await InMemoryJobs.unfinished(self.jobs, project, limit)
        self.counts += 1
        self.clock.seconds += self.count_s
        return counted

    @property
    def unfinished(self) -> int:
        return sum(not job.finished for job in self.jobs.stored.values())


async def test_a_project_may_fill_half_of_the_room_and_all_together_the_whole():
    door = Door()
    await door.submit(OF_PROJECT, "ark")
    with pytest.raises(QueueFull, match="of one project"):
        await door.submit(1, "ark")
    await door.submit(OF_PROJECT, "bow")
    with pytest.raises(QueueFull, match="of everybody"):
        await door.submit(1, "cab")
    assert door.unfinished == LIMIT


async def test_eight_submitters_at_once_do_not_go_over_the_limit():
    door = Door()
    await asyncio.gather(*(door.submit(10, f"project-{n % 4}") for n in range(40)), return_exceptions=True)
    assert door.unfinished == LIMIT


async def test_a_count_that_falls_among_half_written_submissions_lets_nobody_over_the_limit():
    door = Door()
    writing = asyncio.create_task(door.submit(30))
    for _ in range(10):
        await asyncio.sleep(0)
    door.clock.seconds += COUNT_AGAIN_S + 1
    with pytest.raises(QueueFull):
        await door.submit(21)
    await writing
    door.clock.seconds += COUNT_SOONER_S * 2
    await door.submit(20)
    assert door.unfinished == OF_PROJECT


async def test_another_process_goes_over_by_no_more_than_it_takes_on_before_it_counts_again():
    door = Door()
    other = door.another_door()
    await door.submit(40)
    await door.submit(10, admission=other)
    await door.submit(9)
    door.clock.seconds += COUNT_SOONER_S * 2
    for admission in (door.admission, other):
        with pytest.raises(QueueFull):
            await door.submit(1, admission=admission)
    assert door.unfinished == OF_PROJECT + 9


async def test_near_the_limit_counting_takes_a_small_share_of_the_time_however_long_a_count_takes():
    door = Door()
    await door.submit(OF_PROJECT - 2)
    door.count_s = 0.02
    began, counts = door.clock.seconds, door.counts
    while door.clock.seconds < began + 10.0:
        with suppress(QueueFull):
            await door.submit(3)
        door.clock.seconds += 0.001
    assert (door.counts - counts) * door.count_s <= 2 * COUNTING_SHARE * 10.0 + 2 * door.count_s
    assert door.counts - counts >= 10.0 / COUNT_AGAIN_S


async def test_room_that_comes_free_is_seen():
    door = Door()
    await door.submit(OF_PROJECT)
    door.finish(10)
    door.clock.seconds += COUNT_AGAIN_S + 1
    await door.submit(10)
    with pytest.raises(QueueFull):
        await door.submit(1)


async def test_the_delay_follows_from_how_fast_shots_finish():
    door = Door()
    await door.submit(OF_PROJECT)
    for _ in range(6):
        door.clock.seconds += 2.0
        door.finish(4)  # two a second
        await door.submit(4)
    with pytest.raises(QueueFull) as refusal:
        await door.submit(20)
    assert refusal.value.retry_after_s == pytest.approx(10.0, rel=0.3)


@pytest.mark.parametrize(("finished", "expected_s"), [(0, 60.0), (40, 1.0)], ids=["standstill", "fast"])
async def test_the_delay_is_between_a_second_and_a_minute(finished, expected_s):
    door = Door()
    await door.submit(OF_PROJECT)
    door.clock.seconds += 2.0
    door.finish(finished)
    await door.submit(finished)
    with pytest.raises(QueueFull) as refusal:
        await door.submit(1)
    assert refusal.value.retry_after_s == expected_s


async def test_a_submission_that_breaks_gives_its_room_back_when_it_is_counted():
    door = Door()
    with pytest.raises(ZeroDivisionError):
        async with door.admission.admitted(PROJECT, OF_PROJECT):
            raise ZeroDivisionError
    door.clock.seconds += COUNT_AGAIN_S + 1
    await door.submit(OF_PROJECT)


async def test_projects_that_came_once_are_forgotten():
    door = Door()
    for number in range(MAX_TALLIES + 50):
        door.clock.seconds += 0.01
        async with door.admission.admitted(f"project-{number}", 0):
            pass
    assert len(door.admission._projects) == MAX_TALLIES
