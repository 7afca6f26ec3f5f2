"""Threads of the engine: one begins without being waited for, and none may end unnoticed."""

from __future__ import annotations

import logging
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress

__all__ = ["begin", "needed"]

_LOGGER = logging.getLogger(__name__)
_BEGINS_S = 2.0
"""A new thread takes less than a millisecond, unless the machine is very busy."""


def begin(run: Callable[[], None]) -> None:
    """Begin a thread that does not keep the process from ending. Raises ``MemoryError`` when it does not get so far.

    ``threading.Thread.start`` waits until the new thread says that it runs; one that has no memory to say so keeps its
    starter for ever.
    """
    claimed, begun = allocate_lock(), allocate_lock()
    begun.acquire()

    def claim() -> None:
        if claimed.acquire(blocking=False):
            begun.release()
            run()

    try:
        start_new_thread(claim, ())
    except RuntimeError as error:
        raise MemoryError("the system gives no thread") from error
    if not begun.acquire(timeout=_BEGINS_S) and claimed.acquire(blocking=False):
        raise MemoryError("a thread did not begin")


def needed(run: Callable[[], None], fatal: Callable[[], None]) -> Callable[[], None]:
    """Return ``run`` for a thread without which requests would never end: where it fails, ``fatal`` is called."""

    def checked() -> None:
        try:
            run()
        except BaseException as error:
            with suppress(Exception):  # to log may want the memory that there is none of
                _LOGGER.error("a thread of the engine failed: %s: %s", type(error).__name__, error)
            fatal()

    return checked
