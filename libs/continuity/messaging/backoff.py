"""How long to wait before trying again, and how much may be tried again at all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable


def full_jitter_s(tries: int, first_s: float, most_s: float) -> float:
    """Return a random delay below a bound that doubles with every try, so that those who failed together part.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    bound_s = min(most_s, first_s * 2.0 ** min(tries, 64))
    return random.uniform(0.1, 1.0) * bound_s


class Backoff:
    """The pauses of one who waits for something that is away; ``reset`` when it is back."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._tries = 0

    async def pause(self) -> None:
        """Wait, longer each time."""
        delay_s = full_jitter_s(self._tries, self._first_s, self._most_s)
        self._tries += 1
        await asyncio.sleep(delay_s)

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._tries = 0


class TokenBucket:
    """Lets ``per_s`` through a second, and as many at once after a quiet second."""

    def __init__(self, per_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._monotonic = monotonic
        self._tokens = per_s
        self._filled_time = monotonic()

    async def take(self) -> None:
        """Wait for a token; those who wait get theirs one after the other."""
        self._fill()
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._per_s)

    def _fill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._per_s, self._tokens + (now - self._filled_time) * self._per_s)
        self._filled_time = now
