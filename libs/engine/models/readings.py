"""Threads that read models' files. A disk that hangs never gives one back, so there are few of those."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock, Thread

__all__ = ["MOST_HANGING", "READINGS", "Readings"]

MOST_HANGING = 4
_HANGS_S = 30.0


class Readings:
    """The threads of a process; one that did not get on for ``hangs_s`` hangs. Any thread may call."""

    def __init__(self, hangs_s: float = _HANGS_S) -> None:
        self._hangs_s = hangs_s
        self._lock = Lock()
        self._threads: list[tuple[Thread, Callable[[], float]]] = []

    def start(self, name: str, run: Callable[[], None], moved_s: Callable[[], float]) -> bool:
        """Start a thread unless ``MOST_HANGING`` hang; tell whether it was.

        ``moved_s``, of ``time.monotonic``, is when it last got on; infinite where it waits for others than the disk.
        """
        before_s = time.monotonic() - self._hangs_s
        with self._lock:
            self._threads = [each for each in self._threads if each[0].is_alive()]
            if sum(moved() < before_s for _, moved in self._threads) >= MOST_HANGING:
                return False
            thread = Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append((thread, moved_s))
            return True


READINGS = Readings()
"""This process's."""
