"""Pipes on which nothing lasts longer than it may, whoever is at the other end."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from math import inf
from typing import IO

__all__ = ["Timed"]


@dataclass(frozen=True)
class Timed:
    """One end of a pipe that does not block, until ``deadline_s`` of ``time.monotonic``; then ``TimeoutError``."""

    pipe: IO[bytes]
    deadline_s: float

    def write(self, data: memoryview | bytes) -> None:
        """Write all of it. Raises ``BrokenPipeError`` when nobody can read it any more."""
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT)
            try:
                rest = rest[os.write(self.pipe.fileno(), rest) :]
            except BlockingIOError:  # less room than a pipe writes at once
                continue

    def flush(self) -> None:
        """Nothing is held back."""

    def readinto(self, view: memoryview) -> int:
        """Read what there is, at least a byte; 0 at the end."""
        self._wait(select.POLLIN)
        return os.readv(self.pipe.fileno(), [view])

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.pipe, event)
        left_s = self.deadline_s - time.monotonic()
        if not poll.poll(None if left_s == inf else max(0.0, left_s) * 1000):
            raise TimeoutError
