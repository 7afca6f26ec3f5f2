"""What the diffusion engine says that it is doing, and since when: a phase that outlives its own limit is a hang.

The engine writes it into a file, as JSON padded with blanks, whenever a phase begins; nothing is asked of it, so that
one that hangs needs not answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_BYTES = 512
"""The file is never larger."""
LOOK_S = 0.25
FROZEN_S = 2.0
"""Whoever looks that much later than it meant to was frozen, and the engine very likely with it."""
QUIET = ("idle", "starting")
"""Phases in which no request is on the device."""


@dataclass(frozen=True)
class Phase:
    """``began_s`` is of the monotonic clock, which all processes share; without a ``limit_s`` it may last for ever.

    ``requests`` are the ids of those whose unit runs.
    """

    pid: int
    name: str
    began_s: float
    limit_s: float | None = None
    requests: tuple[str, ...] = ()

    def __str__(self) -> str:
        whose = f" of {', '.join(self.requests)}" if self.requests else ""
        limit = "" if self.limit_s is None else f" ({self.limit_s:g} s)"
        return f"phase {self.name}{whose}{limit}"

    def is_over(self, now_s: float, counted_from_s: float) -> bool:
        """Tell whether the phase has had its limit, of which nothing before ``counted_from_s`` is counted."""
        return self.limit_s is not None and now_s - max(self.began_s, counted_from_s) > self.limit_s


def read_phase(path: Path) -> Phase | None:
    """Return the phase in the file; None where there is no file, or nothing in it that can be understood."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(STATE_BYTES))
        return _phase(told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _phase(told: dict[str, Any]) -> Phase:
    limit_s = told.get("limit_s")
    return Phase(
        pid=int(told["pid"]),
        name=str(told["phase"]),
        began_s=float(told["began_s"]),
        limit_s=None if limit_s is None else float(limit_s),
        requests=tuple(map(str, told.get("requests") or ())),
    )


class PhaseWatch:
    """Looks for a hang. ``pids`` are the processes that may have written: a file of another one is a dead one's.

    Two looks in a row must find the same, because a look may come in the middle of a write.
    """

    def __init__(
        self, path: Path, pids: Callable[[], Collection[int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._pids = pids
        self._clock = clock
        self._looked_s = clock()
        self._counted_from_s = 0.0
        self._suspect: Phase | None = None

    def hang(self) -> Phase | None:
        """Return the phase that has outlived its limit; None where none has. To be asked every ``LOOK_S``."""
        now_s = self._clock()
        if now_s - self._looked_s > FROZEN_S:
            self._counted_from_s = now_s
        self._looked_s = now_s
        before, self._suspect = self._suspect, self._late(now_s)
        return self._suspect if self._suspect == before else None

    def of(self, pid: int) -> Phase | None:
        """Return the last phase of a process."""
        phase = read_phase(self._path)
        return phase if phase is not None and phase.pid == pid else None

    def _late(self, now_s: float) -> Phase | None:
        phase = read_phase(self._path)
        if phase is None or not phase.is_over(now_s, self._counted_from_s):
            return None
        return phase if phase.pid in self._pids() else None
