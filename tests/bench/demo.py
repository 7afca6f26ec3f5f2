"""The example film from a cold start: seconds by stage, from the start of the command to the contact sheet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET_S = 60.0


def run() -> dict[str, dict[str, float]]:
    """Seconds of the whole command in a fresh home, and the median and sum of each stage over its shots."""
    folder = Path(tempfile.mkdtemp(prefix="continuity-bench-"))
    try:
        start = time.perf_counter()
        command = [ROOT / "bin" / "continuity", "render", ROOT / "examples/film/shotlist.yaml", "--out", folder / "out"]
        environment = {**os.environ, "CONTINUITY_HOME": str(folder / "home")}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        wall_s = time.perf_counter() - start
        shots = json.loads((folder / "out" / "manifest.json").read_text())["shots"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {"wall": {"seconds": round(wall_s, 2), "target": TARGET_S}}
    for stage in shots[0]["timings"]:
        taken = sorted(shot["timings"][stage] for shot in shots)
        figures[stage] = {"median_s": round(taken[len(taken) // 2], 3), "max_s": round(taken[-1], 3)}
    return figures
