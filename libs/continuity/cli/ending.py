"""The process of a runtime, by a handle that stays its own when the process is gone and its number another's."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "runtime.lock"


class RuntimeProcess:
    """A runtime that holds a home."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def send(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended is no error."""
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            return

    async def ended(self, limit_s: float) -> bool:
        """Return once it has ended; false where it has not within the limit."""
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(self._handle, over.set)
        try:
            async with asyncio.timeout(limit_s):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._handle)
        return True


@contextmanager
def runtime_process(pid: int, home: Path) -> Iterator[RuntimeProcess | None]:
    """Yield the process; None where it is gone, or its number another's who does not hold this home."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield RuntimeProcess(handle) if _holds(pid, home / LOCK) else None
    finally:
        os.close(handle)


def _holds(pid: int, lock: Path) -> bool:
    try:
        held = [os.path.realpath(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # gone in between, or somebody else's
        return False
    return str(lock.resolve()) in held


def is_held(home: Path) -> bool:
    """Tell whether a runtime holds the home: one that serves, or is on its way in or out."""
    try:
        with (home / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
