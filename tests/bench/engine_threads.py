"""Where a thread's time goes, as the system accounts it: on a processor, waiting for one, asleep.

A machine that others use, too, makes both sides of a comparison wait for processors, and seldom evenly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Spent", "busiest", "spent"]


class Spent(NamedTuple):
    """Seconds."""

    running_s: float
    queued_s: float


def spent(pid: int = 0) -> dict[str, Spent]:
    """Return what every thread of this process's descendants, or of ``pid``'s, has spent so far."""
    found = {}
    for each in _descendants(pid or os.getpid()):
        with suppress(OSError):  # it has ended
            for task in Path(f"/proc/{each}/task").iterdir():
                running, queued, _ = (task / "schedstat").read_text().split()
                found[task.name] = Spent(int(running) / 1e9, int(queued) / 1e9)
    return found


def busiest(before: dict[str, Spent], after: dict[str, Spent]) -> Spent:
    """Return what that thread spent between two points that ran the longest."""
    none = Spent(0.0, 0.0)
    deltas = [
        Spent(now.running_s - before.get(thread, none).running_s, now.queued_s - before.get(thread, none).queued_s)
        for thread, now in after.items()
    ]
    return max(deltas, default=none)


def _descendants(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                yield child
                yield from _descendants(child)
