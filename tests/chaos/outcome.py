"""What a run ends with: one JSON line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.findings import Finding, Kind

ORPHANED = (Kind.ORPHANED, Kind.LEASED)


@dataclass(frozen=True)
class Outcome:
    """``waiting`` is what had not come to rest within its limit, ``felt`` what the faults have done to the work."""

    name: str
    seed: int
    accepted: int
    terminal: int
    kills: int
    seconds: float
    findings: Sequence[Finding]
    cancelled: int = 0
    watched: int = 0
    felt: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)
    waiting: Sequence[str] = ()

    @property
    def amiss(self) -> bool:
        """Whether anything is not as it must be."""
        return bool(self.findings or self.waiting or self.accepted != self.terminal or not self.accepted)

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON holds them."""
        kinds = Counter(finding.kind for finding in self.findings)
        told = {Kind.LOST, Kind.DUPLICATED, Kind.FAILED, *ORPHANED}
        return {
            "run": self.name,
            "seed": self.seed,
            "accepted": self.accepted,
            "terminal": self.terminal,
            "lost": kinds[Kind.LOST],
            "duplicated": kinds[Kind.DUPLICATED],
            "orphans": sum(kinds[kind] for kind in ORPHANED),
            "failed": kinds[Kind.FAILED],
            "other": {kind: count for kind, count in sorted(kinds.items()) if kind not in told},
            "cancelled": self.cancelled,
            "watched": self.watched,
            "kills": self.kills,
            "felt": dict(self.felt),
            "faults": dict(self.faults),
            "skipped": dict(self.skipped),
            "refusals": dict(self.refusals),
            "seconds": round(self.seconds, 1),
        }


def summed(seed: int, outcomes: Sequence[Outcome]) -> str:
    """Return the line for all runs together, each with its own figures."""
    runs = [outcome.figures() for outcome in outcomes]
    counts = ("accepted", "terminal", "lost", "duplicated", "orphans", "failed", "kills")
    totals = {name: sum(run[name] for run in runs) for name in counts}
    seconds = round(sum(run["seconds"] for run in runs), 1)
    return json.dumps({"seed": seed, **totals, "seconds": seconds, "runs": runs})
