"""The diffusion engine on this machine's processor, with small random weights; runs in the engine's environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.bench import engine_triton

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"


def run(*options: str) -> dict[str, dict[str, float]]:
    """Scheduling, cancelling, the loop's own cost and memory; ``options`` as of ``tests.bench.engine_run``."""
    if not PYTHON.exists():
        raise SystemExit("the engine's environment is not there: python3 -m deploy.local.set_up engine")
    done = subprocess.run(
        [str(PYTHON), "-m", "tests.bench.engine_run", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return engine_triton.run() | figures
