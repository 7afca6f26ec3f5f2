"""How long an attempt may wait for its turn, and how long it may be drawn from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from services.rendering.domain.errors import AttemptTooLong, TurnTooLate

WAIT_S = 3_900.0
"""The longest wait for the first step: longer than the engine keeps a request in its line, for it knows why."""
DRAW_S = 600.0
"""The longest from the first step on."""


class AttemptClock:
    """Counts ``draw_s`` from the first step on: while a device draws others, an attempt spends no time of its own.

    ``left_s`` is what is left of the job's time to live, which goes on all the time. All in seconds; ``until_s`` is of
    the event loop's clock.
    """

    def __init__(
        self, wait_s: float, draw_s: float, left_s: float = inf, now_s: Callable[[], float] | None = None
    ) -> None:
        self._now_s = now_s or asyncio.get_running_loop().time
        self._wait_s = min(wait_s, left_s)
        self._draw_s = draw_s
        self._end_s = self._now_s() + left_s
        self._has_begun = False
        self.most_s = min(wait_s + draw_s, left_s)
        self.until_s = self._now_s() + self._wait_s

    def begin(self) -> float:
        """Say that a step was taken; return ``until_s``, which the first one decides."""
        if not self._has_begun:
            self._has_begun = True
            self.until_s = min(self._now_s() + self._draw_s, self._end_s)
        return self.until_s

    def over(self) -> AttemptTooLong | TurnTooLate:
        """Return what it means that ``until_s`` has passed."""
        return AttemptTooLong(timeout_s=self._draw_s) if self._has_begun else TurnTooLate(limit_s=self._wait_s)
