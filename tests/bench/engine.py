"""The diffusion engine on this machine's processor, with small random weights; runs in the engine's environment.

``python -m tests.bench.engine --requests 10000`` watches memory over so many requests and writes
``docs/benchmarks/engine-memory.json``; it takes twenty minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from tests.bench import engine_triton

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
Figures = dict[str, dict[str, float]]


def run() -> Figures:
    """Through Triton, scheduling, cancelling, the loop's own cost, batches, and memory over a few requests."""
    return engine_triton.run() | measured("engine_run") | measured("engine_memory", "--requests", "150")


def measured(module: str, *options: str) -> Figures:
    """Return what a module of this folder prints last in the engine's environment."""
    if not PYTHON.exists():
        raise SystemExit("the engine's environment is not there: python3 -m deploy.local.set_up engine")
    done = subprocess.run(
        [str(PYTHON), "-m", f"tests.bench.{module}", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    from tests.bench.__main__ import show, write

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    figures = measured("engine_memory", "--requests", str(parser.parse_args().requests))
    show("engine-memory", figures)
    write("engine-memory", figures)


if __name__ == "__main__":
    main()
