"""SDXL at full size with random weights on one GPU: ``python -m tests.bench.gpu``, or ``make bench-gpu``.

Needs torch, transformers and diffusers, no network, no weights; where there is no make, PYTHONPATH=.:libs. Each part
is a process of its own with a limit, and each table is on the disk, in $OUT or docs/benchmarks, as soon as it is there.
Called again it goes on with the parts that are not done: all of them take about twenty minutes on an H200, 570 seconds
a call (``--budget-s``). ``--shrink`` tries it on a CPU with a small model.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.gpu.report import Report

PARTS = {
    "ceilings": 40, "stock": 60, "eager": 120, "blocks": 100, "slots": 60, "trace": 90, "compiled": 220,
    "tuned": 300, "tma": 300,
}  # fmt: skip
"""In the order in which they are taken, with the seconds that each takes at least; with less left it is not begun."""
KEPT = Path("docs/benchmarks")
LAST_S = 5.0
"""What is kept for writing and leaving."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, or with ``--within`` the one part that a process is for."""
    asked = arguments().parse_args(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.within:
        from tests.bench.gpu.parts import measure

        measure(asked.within, asked, Report(_path(asked)))
        return
    if not _path(asked).is_file() and (before := KEPT / _path(asked).name).is_file():
        _path(asked).write_bytes(before.read_bytes())
    end = time.monotonic() + asked.budget_s
    for name in asked.part or PARTS:
        _taken(name, asked, sys.argv[1:] if words is None else words, end)
    print(f"{_path(asked)}: {Report(_path(asked)).tables.get('ratios')}")


def arguments() -> argparse.ArgumentParser:
    """Return what can be asked."""
    parser = argparse.ArgumentParser(prog="make bench-gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or KEPT))
    parser.add_argument("--name", default="", help="of the file, gpu-NAME.json; else the device's")
    parser.add_argument("--part", nargs="+", choices=[*PARTS], help="only these, done or not")
    parser.add_argument("--within", choices=[*PARTS], help=argparse.SUPPRESS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--shrink", type=int, default=1, help="divides the networks' widths; 16 for a trial on a CPU")
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 30])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--budget-s", type=float, default=570.0)
    return parser


def _taken(name: str, asked: argparse.Namespace, words: Sequence[str], end: float) -> None:
    """Take a part in a process of its own, and note what became of it."""
    report, left_s = Report(_path(asked)), end - time.monotonic() - LAST_S
    if not asked.part and report.parts.get(name) == "done":
        return
    if left_s < PARTS[name] / asked.shrink:
        print(f"{name}: {left_s:.0f} s are left, it takes {PARTS[name]}; call again", flush=True)
        return
    state = _ran([sys.executable, "-m", "tests.bench.gpu", *words, "--within", name], left_s)
    report = Report(_path(asked))
    report.parts[name] = state
    report.write()
    print(f"{name}: {state}", flush=True)


def _ran(command: Sequence[str], limit_s: float) -> str:
    """Run a part; return done, or what became of it. What it started ends with it."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        status: Any = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        status = f"not done after {limit_s:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return "done" if status == 0 else f"failed: {status}"


def _path(asked: argparse.Namespace) -> Path:
    return Path(asked.out / f"gpu-{asked.name or _device_name(asked)}.json")


def _device_name(asked: argparse.Namespace) -> str:
    if asked.shrink > 1:
        return "trial"
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "device"
    return "-".join(told.stdout.splitlines()[0].lower().split()) if told.stdout.strip() else "device"


if __name__ == "__main__":
    main()
