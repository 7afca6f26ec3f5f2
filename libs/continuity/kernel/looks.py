"""Looking after what stands still: how often, for how long, and each for itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from continuity.kernel.errors import ContinuityError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long to wait for what others have to bring: pauses double from ``first_s`` to ``longest_s``.

    They add up to ``limit_s``. It is pauses that are added, whatever clocks say: whoever was off for a day has not
    looked, and so gives up nothing.
    """

    first_s: float
    longest_s: float
    limit_s: float

    def waited_s(self, looks: int) -> float:
        """Return how long it has been waited when there have been that many looks; ``limit_s`` at most."""
        waited_s = 0.0
        for look in range(looks):
            waited_s += self._pause_s(look)
            if waited_s >= self.limit_s:
                return self.limit_s
        return waited_s

    def pause_s(self, looks: int) -> float:
        """Return when to look again after that many looks, in seconds; 0 when it was waited long enough."""
        return min(self._pause_s(looks), self.limit_s - self.waited_s(looks))

    def _pause_s(self, look: int) -> float:
        return min(self.first_s * 2.0 ** min(look, 64), self.longest_s)


async def look_at_each(looks: Sequence[Awaitable[object]]) -> None:
    """Await all of them; one that fails is looked at again and keeps no other from being."""
    for outcome in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(outcome, ContinuityError):
            _log.warning("something stands still for now: %s", outcome)
        elif isinstance(outcome, Exception):
            _log.error("something stands still", exc_info=outcome)
