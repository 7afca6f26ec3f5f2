"""A request as the policy sees it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from engine.work import Unit

__all__ = ["Job"]


@dataclass(eq=False)
class Job:
    """Who asks, since when, and what is next. Times are of the loop's clock; ``deadline_s`` is a point in it.

    Jobs of equal ``kin`` come to share groups, so it is worth while to bring one to where the other is.
    """

    id: str
    project: str
    priority: int
    arrived_s: float
    deadline_s: float | None
    kin: Hashable
    memory_bytes: int
    unit: Unit
    served_s: float
    """When its last unit ended; when it came, before the first."""
    started: bool = False
    alone: bool = False
    """Shares no batch, whatever slots stay empty."""
