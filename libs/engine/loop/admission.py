"""How much the engine takes on: requests that wait, and memory of those that have started."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from threading import Condition
from typing import Generic, TypeVar

from engine.errors import QueueFull
from engine.loop.job import Job
from engine.request import INTERACTIVE

__all__ = ["USUAL", "Memory", "WaitingRoom"]

T = TypeVar("T")
USUAL = 50
"""Priority of those that name none."""
_SHARE_OF_OTHERS = 0.75
"""Of the memory; the rest is kept for those on whom a person waits."""
_FRESH_S = 1.0


@dataclass
class _Place:
    size_bytes: int
    priority: int
    is_taken: bool = False

    @property
    def is_urgent(self) -> bool:
        return self.priority >= INTERACTIVE


class WaitingRoom(Generic[T]):
    """Requests that have not started: at most ``limit``, and ``limit_bytes`` of their files and decoded pictures.

    Files become larger when they are decoded, so they stay files until there is room: what is held is more than
    ``limit_bytes`` by no more than what is being decoded, one request, and one of those on whom a person waits. Any
    thread may call; only ``take`` waits.
    """

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._changed = Condition()
        self._is_open = True
        self._places: dict[T, _Place] = {}
        self._bytes = 0

    def enter(self, request: T, size_bytes: int, priority: int = USUAL) -> None:
        """Let ``request`` in. Raises ``QueueFull``."""
        with self._changed:
            waiting = len(self._places)
            if waiting >= self._limit:
                raise QueueFull(waiting, self._limit)
            if waiting and self._bytes + size_bytes > self._limit_bytes:
                raise QueueFull(self._bytes + size_bytes, self._limit_bytes, "bytes of requests would wait")
            self._places[request] = _Place(size_bytes, priority)
            self._bytes += size_bytes
            self._changed.notify_all()

    def take(self) -> T | None:
        """Return who is to be prepared next, the most urgent, as soon as it may be; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_open or self._may_be_prepared(self._next()))
            request = self._next() if self._is_open else None
            if request is not None:
                self._places[request].is_taken = True
            return request

    def resize(self, request: T, size_bytes: int) -> None:
        """Say what it takes now that it is prepared; nothing happens when it has left."""
        with self._changed:
            if place := self._places.get(request):
                self._bytes += size_bytes - place.size_bytes
                place.size_bytes = size_bytes
                self._changed.notify_all()

    def leave(self, request: T) -> None:
        """Free its place; nothing happens when it has left before."""
        with self._changed:
            if place := self._places.pop(request, None):
                self._bytes -= place.size_bytes
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody be prepared any more."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._places)

    def _next(self) -> T | None:
        left = [request for request, place in self._places.items() if not place.is_taken]
        return max(left, key=lambda request: self._places[request].priority, default=None)

    def _may_be_prepared(self, request: T | None) -> bool:
        """Tell whether there is room, or nobody of its kind is prepared, for then none would ever come."""
        if request is None:
            return False
        is_urgent = self._places[request].is_urgent
        prepared = any(place.is_taken and place.is_urgent == is_urgent for place in self._places.values())
        share = 1.0 if is_urgent else _SHARE_OF_OTHERS
        return self._bytes < self._limit_bytes * share or not prepared


class Memory:
    """Starts a job only where all started ones and it find memory even if none of them has taken any yet.

    A job beside which nothing runs may always start: the device itself will tell. What is free is asked for only when
    somebody wants to know, and again when it has changed or some time has passed: systems and drivers are slow to say,
    and the device's thread asks before every unit.
    """

    def __init__(self, free_bytes: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._free_bytes = free_bytes
        self._clock = clock
        self._started: dict[Job, int] = {}
        self._free = 0
        self._old_s = -inf
        """When what is known to be free is to be asked for again."""

    def started(self, job: Job) -> None:
        """Count what ``job`` takes."""
        self._started[job] = job.memory_bytes
        self.changed()

    def left(self, job: Job) -> None:
        """Count it no more."""
        self._started.pop(job, None)
        self.changed()

    def changed(self) -> None:
        """Ask again what is free: something was loaded, or will have been by then."""
        self._old_s = -inf

    def gate(self) -> Callable[[Job], bool]:
        """Return the question whether a job may start, for as long as nothing else has run."""
        held = sum(self._started.values())

        def may_start(job: Job) -> bool:
            if not self._started:
                return True
            share = 1.0 if job.priority >= INTERACTIVE else _SHARE_OF_OTHERS
            return held + job.memory_bytes <= self._known_free() * share

        return may_start

    def _known_free(self) -> int:
        if self._clock() >= self._old_s:
            self._free, self._old_s = self._free_bytes(), self._clock() + _FRESH_S
        return self._free
