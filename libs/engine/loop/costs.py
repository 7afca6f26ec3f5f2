"""What units cost, as measured."""

from __future__ import annotations

from collections.abc import Hashable

from engine.loop.job import Job
from engine.work import Phase

__all__ = ["Costs"]

_NEWEST = 0.3
"""Share of the newest measurement in the moving average."""
_MOST_KEPT = 512


class Costs:
    """Moving averages of seconds by phase and kin; what was never measured takes that of its phase, or ``guess_s``."""

    def __init__(self, guess_s: float = 0.05) -> None:
        self._guess_s = guess_s
        self._average_s: dict[tuple[Phase, Hashable], float] = {}

    def took(self, phase: Phase, kin: Hashable, seconds: float) -> None:
        """Take a measurement in."""
        for key in ((phase, kin), (phase, None)):
            before = self._average_s.pop(key, seconds)
            self._average_s[key] = before + _NEWEST * (seconds - before)
        if len(self._average_s) > _MOST_KEPT:
            del self._average_s[next(iter(self._average_s))]

    def unit_s(self, phase: Phase, kin: Hashable) -> float:
        """Return what a unit probably takes."""
        by_phase = self._average_s.get((phase, None), self._guess_s)
        return self._average_s.get((phase, kin), by_phase)

    def remaining_s(self, job: Job) -> float:
        """Return what ``job`` probably takes to its end, alone on the device."""
        return self.unit_s(job.unit.phase, job.kin) + (job.unit.remaining - 1) * self.unit_s("step", job.kin)
