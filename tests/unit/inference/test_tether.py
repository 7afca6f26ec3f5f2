from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("take", range(5))
def test_signals_that_come_while_its_command_ends_keep_a_tether_from_nothing(take: int) -> None:
    command = "sleep 60 & echo $!; exec sleep 60"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), "/bin/sh", "-c", command],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as held:
        assert held.stdout
        left = int(held.stdout.readline())
        while held.poll() is None:
            held.send_signal(signal.SIGHUP)
        assert held.returncode == 128 + signal.SIGKILL
    assert not Path(f"/proc/{left}").exists()


RUNTIME = """
import os, subprocess, sys
command = [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), *sys.argv[2:]]
subprocess.Popen(command, start_new_session=True).wait()
"""


def test_when_its_parent_is_killed_neither_processes_nor_shared_memory_of_the_command_are_left(tmp_path: Path) -> None:
    prefix = f"continuity-test-{uuid.uuid4()}-"
    ours, others = (tether.SHARED_MEMORY / f"{name}region" for name in (prefix, f"x{prefix}"))
    pipe = tmp_path / "ended"
    os.mkfifo(pipe)
    # Whoever is left holds the pipe open, so that its end is not read.
    command = f"exec 3>{pipe}; echo x >{ours}; echo x >{others}; sleep 60 & echo $!; trap '' HUP; sleep 60; sleep 60"
    parent = subprocess.Popen(
        [sys.executable, "-c", RUNTIME, tether.__file__, f"{tether.OPTION}{prefix}", "/bin/sh", "-c", command],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with pipe.open() as held:
            assert parent.stdout
            assert parent.stdout.readline()
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            parent.stdout.read()  # ends when the tether has
            assert held.read() == ""
        assert (ours.exists(), others.exists()) == (False, True)
    finally:
        others.unlink(missing_ok=True)
        if parent.stdout:
            parent.stdout.close()
