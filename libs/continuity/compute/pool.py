"""A bounded pool of processes for work that needs a processor.

The standard pools cannot stop one stuck job without losing the others. Here a worker is a fresh interpreter, not a fork
(threads and gRPC don't survive one), which runs one job at a time and is killed and replaced when that job is late,
is cancelled or takes it down.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple, cast

from continuity.compute import worker
from continuity.kernel.errors import ContinuityError, Full, Late, Unavailable

_PIPE_BUFFER_BYTES = 16 * 1024 * 1024

Args = TypeVarTuple("Args")
T = TypeVar("T")


@dataclass(eq=False)
class PoolFull(Full):
    """All workers are busy and as many jobs as allowed wait already."""

    template = "all {workers} workers are busy and {max_waiting} jobs wait"
    workers: int
    max_waiting: int


@dataclass(eq=False)
class JobLate(Late):
    """A job ran longer than allowed; its worker was killed."""

    template = "{job} took longer than {timeout_s} s"
    job: str
    timeout_s: float


@dataclass(eq=False)
class WorkerDied(ContinuityError):
    """The process that ran the job ended under it (killed for its memory, crashed).

    Not ``Unavailable``: what kills every worker is to be given up at last.
    """

    retryable = True
    template = "the worker that ran {job} died"
    job: str


@dataclass(eq=False)
class PoolClosed(Unavailable):
    """The pool takes no more jobs, and those that ran were stopped."""

    template = "the pool of workers is closed"


class CpuPool:
    """At most ``workers`` processes, started when first needed; ``timeout_s`` is the longest that a job may run.

    Waiting is bounded by ``max_waiting`` jobs, and in time by whoever waits (cancelling is safe at any moment).
    """

    def __init__(self, workers: int, *, max_waiting: int, timeout_s: float) -> None:
        self._workers = workers
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(workers)
        self._jobs = 0
        self._idle: list[Process] = []
        self._alive: set[Process] = set()
        self._ending: set[asyncio.Task[int]] = set()
        self._closed = False

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """Return ``function(*args)``, computed in a worker; what it raises is raised here, typed as there.

        ``function`` is one that a module (not the main script) defines; it, its arguments and its result are pickled.
        Raises ``PoolFull``, ``JobLate``, ``WorkerDied`` and ``PoolClosed``, all of them retryable.
        """
        request = pickle.dumps((function, args), pickle.HIGHEST_PROTOCOL)
        if self._jobs >= self._workers + self._max_waiting:
            raise PoolFull(workers=self._workers, max_waiting=self._max_waiting)
        self._jobs += 1
        try:
            async with self._free:
                reply = await self._call(request, getattr(function, "__name__", "the job"))
        finally:
            self._jobs -= 1
        succeeded, outcome = pickle.loads(reply)  # noqa: S301 - from our own process
        if not succeeded:
            raise outcome
        return cast("T", outcome)

    async def close(self) -> None:
        """Kill all workers and wait for their end; jobs that run or wait raise ``PoolClosed``."""
        self._closed = True
        for process in list(self._alive):
            self._kill(process)
        await asyncio.gather(*self._ending)

    async def _call(self, request: bytes, job: str) -> bytes:
        process: Process | None = None
        reply: bytes | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                process = await self._worker()
                reply = await _exchange(process, request)
        except TimeoutError:
            raise JobLate(job=job, timeout_s=self._timeout_s) from None
        except (asyncio.IncompleteReadError, OSError) as error:
            raise PoolClosed() if self._closed else WorkerDied(job=job) from error
        finally:
            if process and reply is None:
                self._kill(process)
        self._idle.append(process)
        return reply

    async def _worker(self) -> Process:
        """Return an idle worker that lives, or a new one."""
        while self._idle and not self._closed:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._alive.discard(process)
        return await self._start()

    async def _start(self) -> Process:
        if self._closed:
            raise PoolClosed
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", worker.__file__, str(os.getpid())),
            stdin=PIPE,
            stdout=PIPE,
            limit=_PIPE_BUFFER_BYTES,
            start_new_session=True,
        )
        self._alive.add(process)
        if self._closed:
            self._kill(process)
            raise PoolClosed
        _write(process, pickle.dumps(sys.path))
        return process

    def _kill(self, process: Process) -> None:
        self._alive.discard(process)
        if process.returncode is None:
            process.kill()
            ending = asyncio.create_task(process.wait())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


async def _exchange(process: Process, request: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    _write(process, request)
    await process.stdin.drain()
    size = worker.FRAME.unpack(await process.stdout.readexactly(worker.FRAME.size))[0]
    return await process.stdout.readexactly(size)


def _write(process: Process, frame: bytes) -> None:
    if process.stdin:
        process.stdin.writelines((worker.FRAME.pack(len(frame)), frame))
