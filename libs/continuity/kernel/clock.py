"""The clock as a port, so that tests decide what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Return seconds since the epoch (UTC)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the epoch (UTC)."""
        return time.time()


def utc(seconds: float) -> datetime:
    """Return ``seconds`` since the epoch as an aware datetime."""
    return datetime.fromtimestamp(seconds, tz=UTC)
