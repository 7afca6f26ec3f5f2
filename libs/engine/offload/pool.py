"""A fixed number of worker processes, each replaced when it dies or does not answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Protocol, TypeVar, TypeVarTuple

from engine.errors import EngineError, Stopped
from engine.offload.process import WorkerProcess

__all__ = ["Offload", "WorkerDied", "Workers"]

Args = TypeVarTuple("Args")
T = TypeVar("T")


class WorkerDied(EngineError):
    """The process that prepared or encoded something ended under it, or did not answer in time."""

    def __str__(self) -> str:
        return "the worker process died"


class Offload(Protocol):
    """Where functions run that must not run here."""

    def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """Return ``function(*args)``; both it and they are pickled, and what it raises is raised here."""
        ...

    def close(self) -> None:
        """End it; calls that wait raise ``Stopped``."""


class Workers:
    """``count`` processes. A call waits, without holding the interpreter, for one to be free and then for its answer.

    Whoever calls bounds how many wait; ``timeout_s`` bounds one call. ``first`` is what each process does at its start,
    such as importing what takes long.
    """

    def __init__(self, count: int, timeout_s: float = 60.0, first: Callable[[], object] | None = None) -> None:
        self._timeout_s = timeout_s
        self._first = first
        self._lock = Lock()
        self._closed = False
        self._alive: set[WorkerProcess] = set()
        self._free: SimpleQueue[WorkerProcess | None] = SimpleQueue()
        """None stands for a worker that is yet to be started anew, and wakes the waiting after the end."""
        for _ in range(count):
            worker = WorkerProcess(first)
            self._alive.add(worker)
            self._free.put(worker)

    def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """See ``Offload``. Raises ``WorkerDied`` when the process ended under it or was too slow."""
        succeeded, outcome = self._called(self._taken(), function, args)
        if not succeeded:
            raise outcome
        return outcome

    def pids(self) -> list[int]:
        """Return the ids of the processes that were started and not given up."""
        with self._lock:
            return [each.pid for each in self._alive]

    def close(self) -> None:
        """See ``Offload``; returns when all processes have ended."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        for each in alive:
            each.kill()
        with suppress(Empty):
            while True:
                self._give_up(self._free.get_nowait())
        self._free.put(None)

    def _taken(self) -> WorkerProcess:
        worker = self._free.get()
        if worker and not worker.is_alive:  # between two calls, so nobody is to be told
            self._give_up(worker)
            worker = None
        try:
            with self._lock:
                if self._closed:
                    raise Stopped
                alive = worker or WorkerProcess(self._first)
                self._alive.add(alive)
                return alive
        except BaseException:  # the system may refuse a process; the next call tries again
            self._give_up(worker)
            self._free.put(None)
            raise

    def _called(self, worker: WorkerProcess, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any]:
        back: WorkerProcess | None = None
        try:
            reply = worker.call(function, args, self._timeout_s)
            back = worker
        except (EOFError, OSError) as error:  # TimeoutError is one of the latter
            raise Stopped if self._closed else WorkerDied from error
        finally:
            if back is None:
                self._give_up(worker)
            self._free.put(back)
        return reply

    def _give_up(self, worker: WorkerProcess | None) -> None:
        if worker:
            with self._lock:
                self._alive.discard(worker)
            worker.close()
