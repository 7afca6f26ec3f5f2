"""Which fault strikes whom and when: it follows from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

T = TypeVar("T")

SERVICES = ("characters", "vision", "matting", "prompts", "rendering")
REPLICAS = tuple(f"{service}-{number}" for service in SERVICES for number in (1, 2))
LINKS = ("kafka", "mongo", "minio", "triton")
"""What is reached through a proxy."""


class Fault(StrEnum):
    """What can happen."""

    KILL_REPLICA = "kill-replica"
    KILL_TRITON = "kill-triton"
    KILL_TRITON_SERVER = "kill-triton-server"
    KILL_TRITON_STUB = "kill-triton-stub"
    KILL_KAFKA = "kill-kafka"
    KILL_MINIO = "kill-minio"
    STOP_MONGO = "stop-mongo"
    FREEZE = "freeze"
    CUT = "cut"
    SLOW = "slow"
    NARROW = "narrow"
    RESET = "reset"
    FULL_DISK = "full-disk"
    CLOCK = "clock"


KILLS = (
    *(Fault.KILL_REPLICA,) * 4,
    Fault.KILL_TRITON,
    Fault.KILL_TRITON_SERVER,
    Fault.KILL_TRITON_STUB,
    Fault.KILL_KAFKA,
    Fault.KILL_MINIO,
    Fault.STOP_MONGO,
)
"""A deck: replicas die more often than servers."""
TROUBLES = (
    *((fault, link) for fault in (Fault.CUT, Fault.SLOW, Fault.NARROW, Fault.RESET) for link in LINKS),
    (Fault.FREEZE, ""),
    (Fault.FULL_DISK, "minio"),
    (Fault.CLOCK, ""),
)
LENGTHS_S = {
    Fault.FREEZE: (12.0, 15.0),
    Fault.CUT: (4.0, 12.0),
    Fault.SLOW: (5.0, 12.0),
    Fault.NARROW: (5.0, 12.0),
    Fault.RESET: (2.0, 6.0),
    Fault.FULL_DISK: (6.0, 12.0),
    Fault.CLOCK: (10.0, 15.0),
}
"""How long a trouble lasts; a replica is held up for longer than a lease. What was killed is down for a moment."""
DOWN_S = (0.0, 3.0)
CLOCK_JUMPS_S = (-400, -60, 60, 400)
"""Longer than leases and outboxes wait, shorter than a job waits for its cast: that deadline is the clock's to tell."""


@dataclass(frozen=True)
class Planned:
    """A fault at a moment (seconds from the start). ``amount`` is a clock's jump in seconds, else a share of 1."""

    moment_s: float
    fault: Fault
    victim: str
    length_s: float
    amount: float

    @property
    def is_kill(self) -> bool:
        """Whether a process is to die."""
        return self.fault in KILLS

    def __str__(self) -> str:
        return f"{self.moment_s:6.1f} s {self.fault} {self.victim} for {self.length_s:.1f} s"


def plan(seed: int, *, kills: int, every_s: float) -> tuple[Planned, ...]:
    """Return a kill for every ``every_s`` seconds, and a trouble of another kind in the middle of every second one."""
    random = Random(seed)
    doomed, troubled = _dealt(random, KILLS), _dealt(random, TROUBLES)
    planned: list[Planned] = []
    for turn in range(kills):
        planned.append(_kill(random, next(doomed), (turn + 1) * every_s))
        if turn % 2 == 0:
            fault, victim = next(troubled)
            planned.append(_trouble(random, fault, victim, (turn + 1.5) * every_s))
    return tuple(planned)


def _kill(random: Random, fault: Fault, moment_s: float) -> Planned:
    victim = random.choice(REPLICAS) if fault is Fault.KILL_REPLICA else ""
    return Planned(moment_s, fault, victim, random.uniform(*DOWN_S), random.random())


def _trouble(random: Random, fault: Fault, victim: str, moment_s: float) -> Planned:
    length_s = random.uniform(*LENGTHS_S[fault])
    if fault is Fault.FREEZE:
        return Planned(moment_s, fault, random.choice(("rendering-1", "rendering-2")), length_s, 1.0)
    if fault is Fault.CLOCK:
        # Clocks of second replicas can be moved.
        return Planned(moment_s, fault, f"{random.choice(SERVICES)}-2", length_s, random.choice(CLOCK_JUMPS_S))
    if victim in ("mongo", "minio"):
        victim = f"{victim}-{random.choice(SERVICES)}" if fault is not Fault.FULL_DISK else victim
    return Planned(moment_s, fault, victim, length_s, random.random())


def _dealt(random: Random, deck: Sequence[T]) -> Iterator[T]:
    """Deal shuffled decks without end: whatever is in a deck comes before anything comes again."""
    while True:
        yield from random.sample(deck, len(deck))
