"""One worker process and the pipes to it."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from math import inf
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from engine.offload import worker
from engine.offload.frames import receive, send
from engine.offload.timed import Timed

__all__ = ["WorkerProcess", "interpreter"]

_PIPE_BYTES = 1 << 20
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
_ENVIRONMENT = {**dict.fromkeys(_THREADS, "1"), "TOKENIZERS_PARALLELISM": "false"}


class WorkerProcess:
    """Runs one call at a time; only one thread may use it at once, but any may ``kill`` it.

    ``first`` is called by the process at its start; nobody waits for it, and what it gives is thrown away.
    """

    def __init__(self, first: Callable[[], object] | None = None) -> None:
        path = pickle.dumps(sys.path)
        self._process = Popen(
            [interpreter(), "-P", worker.__file__, str(len(path))],
            stdin=PIPE,
            stdout=PIPE,
            bufsize=0,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self._calls, self._replies = self._process.stdin, self._process.stdout
        for pipe in (self._calls, self._replies):
            os.set_blocking(pipe.fileno(), False)
            with suppress(OSError):  # the user's pipes have an upper limit; smaller ones are slower, no more
                fcntl(pipe, F_SETPIPE_SZ, _PIPE_BYTES)
        with suppress(BrokenPipeError):  # one that died at once is found at the first call
            calls = Timed(self._calls, inf)  # the pipe has room for these before anybody reads it
            calls.write(path)
            if first:
                send(calls, (first, ()))
        self._owes = first is not None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], timeout_s: float) -> tuple[bool, Any]:
        """Return (succeeded, result or exception).

        Raises ``EOFError`` or ``OSError`` when the process has ended, ``TimeoutError`` when the last byte of the answer
        was not there within ``timeout_s``, which begins when what it does first is done, for which it has as long; the
        process is of no use then.
        """
        if self._owes:
            receive(Timed(self._replies, time.monotonic() + timeout_s))
            self._owes = False
        deadline_s = time.monotonic() + timeout_s
        send(Timed(self._calls, deadline_s), (function, args))
        reply: tuple[bool, Any] = receive(Timed(self._replies, deadline_s))
        return reply

    def kill(self) -> None:
        """End the process, whatever it does, and wait for its end; a call that waits for it raises."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and give back its pipes; nobody may be calling it."""
        self.kill()
        for pipe in (self._calls, self._replies):
            with suppress(OSError):
                pipe.close()


def interpreter() -> str:
    """Return the Python of this environment. Where Python is embedded, ``sys.executable`` may be empty or the host."""
    found = Path(sys.executable or "")
    return str(found) if found.name.startswith("python") else str(Path(sys.prefix) / "bin" / "python3")
