"""The works that the device thread holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import ceil

from engine.errors import ModelUnusable, QueueFull
from engine.loop.admission import Memory, WaitingRoom
from engine.loop.entry import Entry, Started
from engine.loop.job import Job
from engine.work import Wait, Work

__all__ = ["Roster"]

_LOGGER = logging.getLogger(__name__)


class Roster:
    """Works from their beginning to their end; only the device thread touches it."""

    def __init__(self, memory: Memory, room: WaitingRoom[Entry], waiting_s: float) -> None:
        self._memory = memory
        self._room = room
        self._waiting_s = waiting_s
        self._by_job: dict[Job, Started] = {}
        self._by_entry: dict[Entry, Started] = {}

    def __len__(self) -> int:
        return len(self._by_job)

    def jobs(self) -> Sequence[Job]:
        """Return all jobs in the order of their coming."""
        return list(self._by_job)

    def of(self, job: Job) -> Started:
        """Return whose job it is."""
        return self._by_job[job]

    def waiting(self) -> dict[Job, Wait]:
        """Return those whose next unit cannot run yet, and what they wait for."""
        waits = {job: job.unit.waits for job in self._by_job}
        return {job: each for job, each in waits.items() if each is not None and not each.done()}

    def gate(self) -> Callable[[Job], bool]:
        """Return the question whether a job may start now."""
        return self._memory.gate()

    def add(self, entry: Entry, work: Work, now_s: float) -> Started:
        """Take a work in that has just begun."""
        try:
            job = _job(entry, work, now_s)
        except Exception:
            _close(work)
            raise
        started = self._by_job[job] = self._by_entry[entry] = Started(entry, work, job)
        return started

    def start(self, batch: Sequence[Started]) -> None:
        """Say that the next units of these run now."""
        if any(each.job.unit.phase != "step" for each in batch):  # steps take what they leave
            self._memory.changed()
        for each in batch:
            if not each.job.started:
                each.job.started = True
                self._memory.started(each.job)
                self._room.leave(each.entry)

    def drop(self, entry: Entry) -> None:
        """Let go of a work whose end is told already, if it is held."""
        if started := self._by_entry.get(entry):
            self._release(started)

    def end(self, started: Started, error: Exception | None) -> None:
        """Let go of a work and tell its end."""
        self._release(started)
        started.entry.mailbox.end(error)

    def end_all(self, error: Exception) -> None:
        """Let go of all works because of ``error``."""
        for started in list(self._by_job.values()):
            self.end(started, error)

    def expire(self, now_s: float) -> None:
        """End those that have waited too long for their first unit."""
        for started in list(self._by_job.values()):
            waited_s = now_s - started.entry.arrived_s
            if not started.job.started and waited_s > self._waiting_s:
                self.end(started, QueueFull(ceil(waited_s), self._waiting_s, "seconds passed before this could begin"))

    def end_stuck(self, before_s: float) -> None:
        """End those that wait for what has not got on since ``before_s``, of ``time.monotonic``."""
        for job, waits in self.waiting().items():
            if waits.moved_s <= before_s:
                self.end(self.of(job), ModelUnusable(waits.model, "its files are being read and that does not get on"))

    def _release(self, started: Started) -> None:
        del self._by_job[started.job], self._by_entry[started.entry]
        self._memory.left(started.job)
        self._room.leave(started.entry)
        _close(started.work)


def _job(entry: Entry, work: Work, now_s: float) -> Job:
    request = entry.prepared.request
    return Job(
        id=entry.id,
        project=request.project,
        priority=request.priority if entry.priority is None else entry.priority,
        arrived_s=entry.arrived_s,
        deadline_s=None if request.deadline_s is None else entry.arrived_s + request.deadline_s,
        kin=(entry.prepared.shape, request.checkpoint, request.loras),
        memory_bytes=work.memory_bytes,
        unit=work.next,
        served_s=now_s,
        alone=entry.alone,
    )


def _close(work: Work) -> None:
    """Close a work; one that does not close is a fault of the engine's own, harms nobody else and is only logged."""
    try:
        work.close()
    except Exception as error:
        _LOGGER.warning("%s did not close: %s: %s", work.id, type(error).__name__, error)
