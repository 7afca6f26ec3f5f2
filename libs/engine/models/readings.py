"""Threads that read models' files. A disk that hangs never gives one back, so there are few of those."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Condition

from engine.threads import begin

__all__ = ["MOST_HANGING", "READINGS", "Readings"]

MOST_HANGING = 4
_HANGS_S = 30.0


class Readings:
    """The threads of a process; one that did not get on for ``hangs_s`` hangs. Any thread may call."""

    def __init__(self, hangs_s: float = _HANGS_S) -> None:
        self._hangs_s = hangs_s
        self._changed = Condition()
        self._running: list[Callable[[], float]] = []

    def start(self, run: Callable[[], None], moved_s: Callable[[], float]) -> bool:
        """Start a thread, without waiting for it, unless ``MOST_HANGING`` hang; tell whether it was.

        ``moved_s``, of ``time.monotonic``, is when it last got on; infinite where it waits for others than the disk.
        """
        before_s = time.monotonic() - self._hangs_s
        with self._changed:
            if sum(moved() < before_s for moved in self._running) >= MOST_HANGING:
                return False
            self._running.append(moved_s)
        try:
            begin(partial(self._read, run, moved_s))
        except BaseException:
            self._ended(moved_s)
            raise
        return True

    def _read(self, run: Callable[[], None], moved_s: Callable[[], float]) -> None:
        try:
            run()
        finally:
            self._ended(moved_s)

    def _ended(self, moved_s: Callable[[], float]) -> None:
        with self._changed:
            self._running.remove(moved_s)
            self._changed.notify_all()


READINGS = Readings()
"""This process's."""
