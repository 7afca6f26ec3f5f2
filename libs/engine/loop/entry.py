"""A request on its way through the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.loop.job import Job
from engine.loop.listener import Listener
from engine.loop.mailbox import Mailbox
from engine.work import Executor, Work

__all__ = ["Drawer", "Entry", "Started"]


class Drawer(Executor, Protocol):
    """What draws: an executor that also begins works. All of it is called by the device thread."""

    def begin(self, prepared: Any) -> Work:
        """Return the work of a ``Prepared``; cheap. Raises ``EngineError`` when it cannot be drawn."""
        ...


@dataclass(eq=False)
class Entry:
    """``raw`` is there until the request is prepared, ``prepared`` from then on. ``priority`` None asks the request."""

    id: str
    priority: int | None
    arrived_s: float
    listener: Listener
    call: Callable[[Entry], None]
    """Told when the mailbox has news."""
    raw: Any = field(repr=False)
    prepared: Any = field(default=None, repr=False)
    alone: bool = False
    """Whether it shares no batch: should the device die of it, no other is to be blamed."""

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(lambda: self.call(self))

    def let_go(self) -> None:
        """Give up its pictures when its end was decided: somebody may hold the entry for as long as a unit runs."""
        self.raw = self.prepared = None


@dataclass(eq=False)
class Started:
    """An entry that the device thread knows, with its work and what the policy sees of it."""

    entry: Entry
    work: Work
    job: Job
