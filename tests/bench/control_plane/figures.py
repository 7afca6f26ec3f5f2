"""What is measured of every contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.bench.control_plane.meter import Load


@dataclass(frozen=True)
class Amount:
    """How much a contender is given: batches of shots, and shots one after the other."""

    shots: int = 2_000
    rounds: int = 3
    singles: int = 200


@dataclass(frozen=True)
class Measured:
    """``batches_s`` are seconds for ``shots`` shots each, ``latencies_s`` seconds of shots alone.

    ``trials`` are shots a second by number of workers, where the number was found by trial.
    """

    shots: int
    batches_s: Sequence[float]
    latencies_s: Sequence[float]
    load: Load
    trials: Mapping[int, float] = field(default_factory=dict)

    @property
    def shots_per_s(self) -> float:
        """Of the median batch."""
        return self.shots / median(self.batches_s)

    def row(self) -> dict[str, float]:
        """Return the figures by unit."""
        alone = {f"p{percent}_ms": percentile(self.latencies_s, percent) * 1e3 for percent in (50, 99)}
        load = {
            "cpu_ms": sum(self.load.cpu_ms.values()),
            "elsewhere": self.load.elsewhere,
            "fsync_ms": self.load.fsync_ms,
        }
        return {
            "shots_per_s": round(self.shots_per_s, 1),
            **{name: round(one, 2) for name, one in {**alone, **load}.items()},
        }


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least ``percent`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
