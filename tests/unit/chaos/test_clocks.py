from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.clocks import movable_clocks

PROGRAM = """
import sys, time
for _ in sys.stdin:
    time.sleep(0.001)
    print(time.time() - time.monotonic(), flush=True)
"""
JUMP_S = 400


def test_a_clock_jumps_while_its_process_runs_and_durations_stay_right(tmp_path: Path) -> None:
    clocks = movable_clocks(tmp_path)
    if isinstance(clocks, str):
        pytest.skip(clocks)
    environment = {**os.environ, **clocks.variables("one")}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout

        def difference_s() -> float:
            assert process.stdin and process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        ours = time.time() - time.monotonic()
        assert difference_s() == pytest.approx(ours, abs=1)
        clocks.move("one", JUMP_S)
        assert difference_s() == pytest.approx(ours + JUMP_S, abs=1)
        clocks.move("one", -JUMP_S)
        assert difference_s() == pytest.approx(ours - JUMP_S, abs=1)
        clocks.move("one", 0)
        assert difference_s() == pytest.approx(ours, abs=1)
        process.stdin.close()
