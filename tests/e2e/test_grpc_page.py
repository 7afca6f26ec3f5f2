"""The page on calling the services from any language: its example runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Running, environment

pytestmark = [pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 120


def example() -> str:
    (block,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs" / "grpc.md").read_text())
    return block


def test_the_example_of_the_page_runs_as_it_stands(embedded: Running, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example())
    done = subprocess.run(
        [sys.executable, tmp_path / "example.py", embedded.address],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    health, keyframe, elsewhere, refused = done.stdout.splitlines()
    assert health == "SERVING"
    assert re.fullmatch(r"\d{4,} bytes True", keyframe)
    assert elsewhere == "NOT_FOUND JOB_MISSING"
    assert refused == "INVALID_ARGUMENT INVALID_VALUE shots[0].shot_number"
