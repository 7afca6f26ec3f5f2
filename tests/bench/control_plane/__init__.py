"""The control plane with a renderer that costs nothing, next to Celery and to bare FastStream.

Every contender runs alone, one after the other on the same disk and cores; ratios are against the Celery of this run.
``docs/benchmarks/control-plane.md`` is written from the run as well.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.control_plane import celery_chain
from tests.bench.control_plane.contenders import CELERY, EMBEDDED, KAFKA, embedded, everybody, on_kafka
from tests.bench.control_plane.figures import Amount, Measured
from tests.bench.control_plane.profiles import shares
from tests.bench.control_plane.report import TARGETS, write_report

PROFILED = Amount(shots=500, rounds=1, singles=1)


def run() -> dict[str, dict[str, float]]:
    """Shots a second, milliseconds of one shot alone, CPU milliseconds a shot, and what the disk took at that time."""
    celery_chain.require()
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as name:
        folder = Path(name)
        measured = {
            label: contend(_made(folder / str(number)), Amount())
            for number, (label, contend) in enumerate(everybody().items())
        }
        profiles = _profiles(folder)
    figures = {label: _row(one, measured[CELERY]) for label, one in measured.items()}
    write_report(figures, measured, profiles)
    return {**figures, "target": TARGETS}


def _row(measured: Measured, celery: Measured) -> dict[str, float]:
    return {**measured.row(), "x_celery": round(measured.shots_per_s / celery.shots_per_s, 2)}


def _profiles(folder: Path) -> dict[str, dict[str, float]]:
    """Return, by process, the share of each group of functions; these runs are slower and give no other figure."""
    one, several = folder / "one.profile", folder / "several.profile"
    embedded(_made(folder / "profiled-embedded"), PROFILED, one)
    on_kafka(_made(folder / "profiled-kafka"), PROFILED, several)
    paths = {f"{EMBEDDED}: all services": one}
    paths |= {f"{KAFKA}: {name}": several.with_suffix(f".{name}") for name in ("prompts", "rendering")}
    return {label: shares(path) for label, path in paths.items()}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
