"""Places in the queue, fair between projects."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from continuity.kernel.clock import Clock
from services.rendering.domain.fair_queue import MAX_OPEN_S, QueueTail, Reservation, reserved, tag_of
from services.rendering.domain.job import Job
from services.rendering.handlers.stores import Jobs, Queues, Submissions

INTERVAL_S = 1.0
"""How old what other processes have drawn may be: whoever comes anew gains that much at most."""


class FairQueue:
    """Hands out tags, and remembers how far the queue has been drawn."""

    def __init__(self, queues: Queues, jobs: Jobs, submissions: Submissions, clock: Clock) -> None:
        self._queues = queues
        self._jobs = jobs
        self._submissions = submissions
        self._clock = clock
        self._drawn: defaultdict[int, int] = defaultdict(int)
        self._told: dict[int, int] = {}

    async def run(self) -> None:
        """Exchange with other processes how far the queue has been drawn, every second, until cancelled."""
        while True:
            await self.exchange()
            await asyncio.sleep(INTERVAL_S)

    async def exchange(self) -> None:
        """Tell how far this process has drawn, and learn how far others have."""
        for priority, tag in tuple(self._drawn.items()):
            if tag > self._told.get(priority, 0):
                await self._queues.tell_drawn(priority, tag)
            self._told[priority] = max(tag, await self._queues.drawn(priority))
            self._drawn[priority] = max(self._drawn[priority], self._told[priority])

    def drawn(self, job: Job) -> None:
        """Take note that a job left the line to be drawn."""
        self._drawn[job.priority] = max(self._drawn[job.priority], tag_of(job.queue_key))

    async def reserve(self, project: str, submission_id: str, priority: int, shots: int) -> int:
        """Return the first of as many tags in a row as there are shots."""
        if priority not in self._told:
            self._told[priority] = await self._queues.drawn(priority)
        drawn_tag = self._drawn[priority] = max(self._drawn[priority], self._told[priority])
        before = await self._queues.tail(project, priority)
        closed = await self._closed(project, before)
        empty = len(closed) == len(before.open) and not await self._jobs.unfinished(project, 1)
        reservation = Reservation(submission_id, self._clock.now())

        def extended(tail: QueueTail) -> QueueTail:
            return reserved(tail, reservation, shots, drawn_tag=drawn_tag, closed=closed, empty=empty)

        return (await self._queues.extend(project, priority, extended)).last_tag - shots + 1

    async def _closed(self, project: str, tail: QueueTail) -> set[str]:
        closed = await asyncio.gather(*(self._is_closed(project, each) for each in tail.open))
        return {each.submission_id for each, is_closed in zip(tail.open, closed, strict=True) if is_closed}

    async def _is_closed(self, project: str, reservation: Reservation) -> bool:
        submission = await self._submissions.find(project, reservation.submission_id)
        if submission is None:
            return self._clock.now() - reservation.time > MAX_OPEN_S
        return submission.fanned_out
