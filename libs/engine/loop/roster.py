"""The works that the device thread holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from engine.errors import QueueFull
from engine.loop.admission import Memory, WaitingRoom
from engine.loop.entry import Entry, Started
from engine.loop.job import Job
from engine.work import Work

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

    def gate(self) -> Callable[[Job], bool]:
        """Return the question whether a job may start now."""
        return self._memory.gate()

    def add(self, entry: Entry, work: Work, now_s: float) -> None:
        """Take a work in that has just begun."""
        try:
            job = _job(entry, work, now_s)
        except Exception:
            _close(work)
            raise
        self._by_job[job] = self._by_entry[entry] = Started(entry, work, job)

    def start(self, batch: Iterable[Started]) -> None:
        """Say that the first units of those that have not started run now."""
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
            if not started.job.started and now_s - started.entry.arrived_s > self._waiting_s:
                waiting = len(self._room)
                self.end(started, QueueFull(waiting, waiting))

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
