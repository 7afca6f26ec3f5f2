"""How much an engine takes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.loop.phases import PhaseLimits

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """``waiting``, ``waiting_bytes`` and ``waiting_s`` bound the requests that have not started.

    ``senders`` threads tell listeners; as many listeners may be slow before others notice.
    """

    waiting: int = 256
    waiting_bytes: int = 1 << 30
    waiting_s: float = 3600.0
    senders: int = 4
    phases: PhaseLimits = field(default_factory=PhaseLimits)
