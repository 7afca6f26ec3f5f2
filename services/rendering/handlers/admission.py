"""How much is taken on: above a limit new shots are refused, with the time after which there is room again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from services.rendering.domain.errors import QueueFull
from services.rendering.handlers.stores import Jobs

COUNT_AGAIN_S = 1.0
COUNT_SOONER_S = 0.1
COUNTING_SHARE = 0.02
"""Of the time, that a tally may spend on counting: where that takes long, counts are up to ``COUNT_AGAIN_S`` old."""
NEARLY_FULL = 0.9
"""The share of the limit above which counts are to be fresher."""
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
MAX_TALLIES = 1_000


class Tally:
    """Unfinished shots: those counted in the store, and those taken on here that the count may not have seen."""

    def __init__(self, jobs: Jobs, project: str | None, limit: int, now: Callable[[], float]) -> None:
        self._jobs = jobs
        self._project = project
        self.limit = limit
        self._now = now
        self._counted = 0
        self._count_time: float | None = None
        self._count_s = 0.0
        self._writing = 0
        self._written = 0
        self._drained_per_s = 0.0

    @property
    def unfinished(self) -> int:
        """How many are unfinished, rather too many than too few."""
        return self._counted + self._writing + self._written

    @property
    def is_writing(self) -> bool:
        """Whether jobs are being written."""
        return self._writing > 0

    @property
    def age_s(self) -> float:
        """How old the count is."""
        return float("inf") if self._count_time is None else self._now() - self._count_time

    @property
    def is_fresh(self) -> bool:
        """Whether the count is as new as it can be without counting all the time."""
        return self.age_s <= min(COUNT_AGAIN_S, max(COUNT_SOONER_S, self._count_s / COUNTING_SHARE))

    async def count(self) -> None:
        """Count anew, and measure how fast shots have finished since the last time."""
        began, age_s, written = self._now(), self.age_s, self._written
        counted = await self._jobs.unfinished(self._project, self.limit + 1)
        if age_s != float("inf") and age_s > 0:
            drained = max(0, self._counted + written - counted) / age_s
            self._drained_per_s = (self._drained_per_s + drained) / 2 if self._drained_per_s else drained
        self._counted, self._count_time = counted, began
        self._count_s = self._now() - began
        self._written -= written

    def begin(self, shots: int) -> None:
        """Take shots on whose jobs are about to be written."""
        self._writing += shots

    def end(self, shots: int) -> None:
        """Note that their jobs were written: the next count sees them."""
        self._writing -= shots
        self._written += shots

    def wait_s(self, shots: int) -> float:
        """Return after how many seconds there will be room for that many."""
        excess = self.unfinished + shots - self.limit
        wait_s = excess / self._drained_per_s if self._drained_per_s else LONGEST_WAIT_S
        return min(max(wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)


class Admission:
    """Admits shots while fewer than ``max_unfinished`` are unfinished, and half of that in one project.

    Within one process the limits are exact. Another process's shots are seen when they are counted: together they go
    over by what the others are just writing, and by what they take on within 0.1 s; within a second where a count takes
    as long as it does of a hundred thousand.
    """

    def __init__(self, jobs: Jobs, max_unfinished: int, now: Callable[[], float] = monotonic) -> None:
        self._jobs = jobs
        self._max_of_project = max(1, max_unfinished // 2)
        self._now = now
        self._everybody = Tally(jobs, None, max_unfinished, now)
        self._projects: dict[str, Tally] = {}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def admitted(self, project: str, shots: int) -> AsyncIterator[None]:
        """Hold room for the shots while their jobs are written. Raises ``QueueFull``."""
        async with self._lock:
            tallies = (self._tally(project), self._everybody)
            for tally in tallies:
                await self._require_room(tally, shots)
            for tally in tallies:
                tally.begin(shots)
        try:
            yield
        finally:
            for tally in tallies:
                tally.end(shots)

    async def _require_room(self, tally: Tally, shots: int) -> None:
        if tally.age_s > COUNT_AGAIN_S:
            await tally.count()
        if tally.unfinished + shots > NEARLY_FULL * tally.limit and not tally.is_fresh:
            await tally.count()
        if tally.unfinished + shots > tally.limit:
            whose = "of everybody" if tally is self._everybody else "of one project"
            raise QueueFull(tally.unfinished, tally.limit, whose, retry_after_s=tally.wait_s(shots))

    def _tally(self, project: str) -> Tally:
        tally = self._projects.pop(project, None) or Tally(self._jobs, project, self._max_of_project, self._now)
        self._projects[project] = tally
        if len(self._projects) > MAX_TALLIES:
            self._forget_oldest()
        return tally

    def _forget_oldest(self) -> None:
        """Forget who has not come for the longest time and has nothing half written."""
        idle = next((name for name, tally in self._projects.items() if not tally.is_writing), None)
        if idle is not None:
            del self._projects[idle]
