"""Run benchmarks, print a table each and write ``docs/benchmarks/<name>.json``.

A benchmark is a module here with ``run() -> dict[str, dict[str, float]]``: for every figure its value under the name of
its unit, and a ``target`` or a ``baseline`` where there is one. Ratios are against the baseline of the same run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks"
NAMES = ("previz", "matting", "demo", "throughput", "backlog", "control-plane", "engine")
Figures = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when none is given")
    chosen = parser.parse_args().names or NAMES
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in chosen:
        figures: Figures = importlib.import_module(f"tests.bench.{name.replace('-', '_')}").run()
        show(name, figures)
        write(name, figures)


def show(name: str, figures: Figures) -> None:
    """Print a line per figure: figures of one benchmark seldom have the same units."""
    table = Table("figure", "measured", title=name)
    for label, row in figures.items():
        table.add_row(label, ", ".join(f"{unit} {value:g}" for unit, value in row.items()))
    Console(width=120).print(table)


def write(name: str, figures: Figures) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    body = {"name": name, "time": datetime.now(UTC).isoformat(timespec="seconds"), **machine(), "figures": figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(body, indent=2) + "\n")


def machine() -> dict[str, str | int | None]:
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "commit": commit,
        "cpu": model[0].split(":", 1)[1].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
