"""What the README tells a program to do, done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.e2e.conftest import ROOT, Running

pytestmark = [pytest.mark.triton, pytest.mark.slow]

ADDRESS = "127.0.0.1:50051"


def test_the_readmes_program_makes_a_character_of_a_photograph_and_a_keyframe_of_a_shot(
    tmp_path: Path, embedded: Running
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert ADDRESS in program
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-c", program.replace(ADDRESS, embedded.address)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "libs")},
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1].startswith("job")
    picture = cv2.imread(str(tmp_path / "collins.png"))
    assert picture is not None
    assert picture.shape == (576, 1024, 3)
