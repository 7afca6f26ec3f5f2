from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from continuity.inference import tether

CHILDREN = 20
COMMAND = f"""
for each in $(seq {CHILDREN}); do
    (trap '' TERM HUP INT; sleep 60 & echo $!; while :; do sleep 60; done) &
    echo $!
done
exit 3
"""


def test_nothing_is_left_of_a_command_by_the_time_that_its_tether_has_ended(tmp_path: Path) -> None:
    listing = tmp_path / "pids"
    with listing.open("wb") as said:
        held = subprocess.Popen(
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), "/bin/sh", "-c", COMMAND],
            stdout=said,
            start_new_session=True,
        )
        assert held.wait(timeout=30) == 3
    started = listing.read_text().split()
    assert len(started) >= CHILDREN
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
