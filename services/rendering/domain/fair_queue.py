"""The order of the queue: higher priorities first, and within a priority fair between projects.

Start-time fair queuing (Goyal, Vin, Cheng 1996) with shots of equal cost: every shot gets a tag when it is submitted,
and the least tag is drawn next. A project's tags go on from its last one, or from the tag that was drawn last where
that is greater: whoever comes anew stands beside everybody else's next shot, not behind their backlog, and having been
away earns nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

TOP_PRIORITY = 100
INTERACTIVE = 80
"""From this priority on somebody waits in person: the diffusion engine, which calls it the same, goes on with such a
shot after at most one step, and a slot is kept for it."""
TAGS = 10**16
"""Tags of one priority; with 101 priorities, keys fit a signed 64-bit integer."""
ARRIVALS = 10**15
"""From here on a tag is none: a version before them had times of arrival in their stead, in microseconds."""
MAX_OPEN_S = 600.0
"""A reservation whose submission was not written by then never will be: no call takes as long."""

OPEN_LIMIT = 32
"""Reservations that are kept. Whoever has more submissions on the way at once may find its place a little too good."""


def queue_key(priority: int, tag: int) -> int:
    """Return the place of a tag among those of every priority; the least is the first."""
    return (TOP_PRIORITY - priority) * TAGS + tag


def last_key(least_priority: int) -> int:
    """Return the last place of those who have at least this priority."""
    return queue_key(least_priority, TAGS - 1)


def tag_of(key: int) -> int:
    """Return the tag of a queue key."""
    return key % TAGS


def key_in_line(priority: int, key: int) -> int:
    """Return the place at which a job comes into line: its own, or before all that have tags where it has none."""
    return key if tag_of(key) < ARRIVALS else queue_key(priority, 0)


@dataclass(frozen=True)
class Reservation:
    """Tags that were handed out for a submission whose jobs may not all exist yet."""

    submission_id: str
    time: float


@dataclass(frozen=True)
class QueueTail:
    """The end of a project's line in one priority. ``open`` are the latest reservations, oldest first, 32 at most."""

    last_tag: int = 0
    open: tuple[Reservation, ...] = ()


def reserved(
    tail: QueueTail,
    reservation: Reservation,
    shots: int,
    *,
    drawn_tag: int,
    closed: Collection[str],
    empty: bool,
) -> QueueTail:
    """Return the tail behind ``shots`` more tags in a row, of which the last is its ``last_tag``.

    ``closed`` are submissions known to have all their jobs, and ``empty`` tells that the project had nothing unfinished
    after that. When nothing else is open, the project has no shot before these: tags that were never drawn, because
    shots failed or were cancelled, are not held against it.
    """
    still_open = tuple(each for each in tail.open if each.submission_id not in closed)
    behind = drawn_tag if empty and not still_open else max(drawn_tag, tail.last_tag)
    return QueueTail(behind + shots, (*still_open, reservation)[-OPEN_LIMIT:])
