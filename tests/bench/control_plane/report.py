"""Writes ``docs/benchmarks/control-plane.md`` from one run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.control_plane.contenders import CELERY, EMBEDDED, KAFKA
from tests.bench.control_plane.figures import Amount, Measured, percentile
from tests.bench.control_plane.processes import ROOT
from tests.bench.control_plane.product import RENDER_SLOTS

PATH = ROOT / "docs" / "benchmarks" / "control-plane.md"
TARGETS = {"shots_per_s": 200.0, "x_celery": 2.0, "p99_ms": 50.0}
COLUMNS = ("shots_per_s", "x_celery", "p50_ms", "p99_ms", "cpu_ms", "elsewhere", "fsync_ms")
LEAST_SHARE = 0.005
DISTURBED = 0.2
"""Cores busy elsewhere from which on a figure says more about the machine than about the contender."""
_TEMPLATE = Path(__file__).with_name("report.md")


def write_report(
    figures: Mapping[str, Mapping[str, float]],
    measured: Mapping[str, Measured],
    profiles: Mapping[str, Mapping[str, float]],
) -> None:
    """Write the page."""
    amount = Amount()
    text = _TEMPLATE.read_text().format(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        cores=os.cpu_count(),
        table=_table("contender", COLUMNS, figures),
        shots=f"{amount.shots:,}",
        smallest=amount.shots // 20,
        largest=f"{amount.shots // 2:,}",
        rounds=amount.rounds,
        singles=amount.singles,
        celery=CELERY,
        kafka=KAFKA,
        embedded=EMBEDDED,
        slots=RENDER_SLOTS,
        disturbed=DISTURBED,
        rate=TARGETS["shots_per_s"],
        ratio=TARGETS["x_celery"],
        latency=TARGETS["p99_ms"],
        **verdicts(measured[KAFKA], measured[CELERY]),
        trials=", ".join(f"{workers} ({rate:.0f} shots/s)" for workers, rate in measured[CELERY].trials.items()),
        processes=_table("contender", _names(measured), {label: _rounded(one) for label, one in measured.items()}),
        shares=_table("group", list(profiles), _transposed(profiles)),
    )
    PATH.write_text(text)


def verdicts(reached: Measured, celery: Measured) -> dict[str, str]:
    """Return what became of each target, by its place on the page; figures are judged before they are rounded."""
    judged = max(reached.load.elsewhere, celery.load.elsewhere) <= DISTURBED
    rate, ratio = reached.shots_per_s, reached.shots_per_s / celery.shots_per_s
    latency_ms = percentile(reached.latencies_s, 99) * 1e3
    return {
        "rate_verdict": _verdict(rate, rate >= TARGETS["shots_per_s"], judged),
        "ratio_verdict": _verdict(ratio, ratio >= TARGETS["x_celery"], judged),
        "latency_verdict": _verdict(latency_ms, latency_ms <= TARGETS["p99_ms"], judged),
    }


def _verdict(value: float, met: bool, judged: bool) -> str:
    if not judged:
        return f"{value:g}: not judged, other programs kept the machine busy"
    return f"{value:g}: {'met' if met else '**not met**'}"


def _names(measured: Mapping[str, Measured]) -> list[str]:
    return list(dict.fromkeys(name for one in measured.values() for name in one.load.cpu_ms))


def _rounded(measured: Measured) -> dict[str, float]:
    return {name: round(value, 2) for name, value in measured.load.cpu_ms.items()}


def _transposed(profiles: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, str]]:
    groups = dict.fromkeys(group for shares in profiles.values() for group in shares)
    rows = {
        group: {
            label: f"{shares[group]:.0%}" for label, shares in profiles.items() if shares.get(group, 0) > LEAST_SHARE
        }
        for group in groups
    }
    return {group: row for group, row in rows.items() if row}


def _table(head: str, columns: Sequence[str], rows: Mapping[str, Mapping[str, float | str]]) -> str:
    lines = [f"| {head} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [
        f"| {label} | {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for label, row in rows.items()
    ]
    return "\n".join(lines)


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
