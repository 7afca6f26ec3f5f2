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
"""What is reached through proxies: each service has its own, to those that are not ``SHARED``."""
SHARED = ("triton",)


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
DISTURBANCES = (Fault.CUT, Fault.SLOW, Fault.NARROW, Fault.RESET)
TROUBLES = (*DISTURBANCES, Fault.FREEZE, Fault.FULL_DISK, Fault.CLOCK)
"""A deck: all come equally often."""
LENGTHS_S = {
    Fault.FREEZE: (16.0, 20.0),
    Fault.CUT: (4.0, 12.0),
    Fault.SLOW: (5.0, 12.0),
    Fault.NARROW: (5.0, 12.0),
    Fault.RESET: (2.0, 6.0),
    Fault.FULL_DISK: (6.0, 12.0),
    Fault.CLOCK: (10.0, 15.0),
}
"""How long a trouble lasts; a replica is held up for longer than a lease and the looks that see it lapse.

What was killed is down for a moment.
"""
DOWN_S = (0.0, 3.0)
CLOCK_JUMPS_S = (400, 86_400)
"""Forwards and backwards in turn: longer than leases and outboxes wait, and longer than anything does."""


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
        jump = f" by {self.amount:+.0f} s" if self.fault is Fault.CLOCK else ""
        return f"{self.moment_s:6.1f} s {self.fault} {self.victim}{jump} for {self.length_s:.1f} s"


def plan(seed: int, *, kills: int, every_s: float) -> tuple[Planned, ...]:
    """Return a kill for every ``every_s`` seconds, and a trouble of another kind in the middle of every second one."""
    random = Random(seed)
    doomed, troubles = _dealt(random, KILLS), _Troubles(random)
    planned: list[Planned] = []
    for turn in range(kills):
        planned.append(_kill(random, next(doomed), (turn + 1) * every_s))
        if turn % 2 == 0:
            planned.append(troubles.next((turn + 1.5) * every_s))
    return tuple(planned)


def _kill(random: Random, fault: Fault, moment_s: float) -> Planned:
    victim = random.choice(REPLICAS) if fault is Fault.KILL_REPLICA else ""
    return Planned(moment_s, fault, victim, random.uniform(*DOWN_S), random.random())


class _Troubles:
    """Deals kinds, links, workers, directions and jumps, each evenly."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._kinds = _dealt(random, TROUBLES)
        self._links = _dealt(random, LINKS)
        self._workers = _dealt(random, ("rendering-1", "rendering-2"))
        self._directions = _dealt(random, (-1, 1))
        self._jumps = _dealt(random, CLOCK_JUMPS_S)

    def next(self, moment_s: float) -> Planned:
        fault = next(self._kinds)
        victim, amount = self._aim(fault)
        return Planned(moment_s, fault, victim, self._random.uniform(*LENGTHS_S[fault]), amount)

    def _aim(self, fault: Fault) -> tuple[str, float]:
        if fault is Fault.FREEZE:
            return next(self._workers), 1.0
        if fault is Fault.FULL_DISK:
            return "minio", 1.0
        if fault is Fault.CLOCK:
            # Clocks of second replicas can be moved.
            return f"{self._random.choice(SERVICES)}-2", float(next(self._directions) * next(self._jumps))
        link = next(self._links)
        return (link if link in SHARED else f"{link}-{self._random.choice(SERVICES)}"), self._random.random()


def _dealt(random: Random, deck: Sequence[T]) -> Iterator[T]:
    """Deal shuffled decks without end: whatever is in a deck comes before anything comes again."""
    while True:
        yield from random.sample(deck, len(deck))
