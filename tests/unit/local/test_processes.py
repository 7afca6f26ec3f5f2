from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import ProcessId, Tethered, tail

STARTER = """
import sys, time
from pathlib import Path
from deploy.local.processes import Tethered
held = Tethered(["/bin/sleep", "60"], {}, Path(sys.argv[1]))
print(held.id.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def known(pid: int) -> ProcessId:
    found = ProcessId.of(pid)
    assert found
    return found


def test_a_process_that_took_the_number_of_another_is_never_signalled(sleeping: subprocess.Popen[bytes]) -> None:
    former = ProcessId(sleeping.pid, "the same number, before a restart of the machine")
    former.signal(signal.SIGKILL)
    assert not former.alive()
    assert former.ended(0)
    assert sleeping.poll() is None


def test_a_zombie_is_not_alive(sleeping: subprocess.Popen[bytes]) -> None:
    found = known(sleeping.pid)
    assert found.alive()
    found.signal(signal.SIGKILL)
    assert found.ended(10)
    assert not found.alive()
    assert ProcessId.of(sleeping.pid) is None


def test_waiting_for_a_process_that_goes_on_ends_at_the_limit(sleeping: subprocess.Popen[bytes]) -> None:
    assert not known(sleeping.pid).ended(0.01)


def test_a_number_that_nobody_has_is_nobody() -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    assert ProcessId.of(process.pid) is None
    ProcessId(process.pid, "x").signal(signal.SIGKILL)


def test_a_tethered_command_dies_with_a_starter_that_was_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, tmp_path / "log"],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert starter.stdout
    with starter.stdout as said:
        command = known(int(said.readline()))
    starter.kill()
    starter.wait()
    assert command.ended(10)


def test_a_tethered_command_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[Tethered] = []
    thread = threading.Thread(target=lambda: started.append(Tethered(["/bin/sleep", "60"], {}, tmp_path / "log")))
    thread.start()
    thread.join()
    (held,) = started
    assert not held.ended(0.2)
    assert held.alive()
    held.end()
    assert not held.alive()


def test_a_tethered_command_is_signalled_itself_and_its_output_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    command = ["/bin/sh", "-c", "trap 'echo told to end; exit' TERM; echo up; while :; do sleep 0.01; done"]
    held = Tethered(command, {"PATH": os.environ["PATH"]}, log)
    while "up" not in tail(log):
        assert held.alive()
    held.signal(signal.SIGTERM)
    assert held.ended(10)
    assert tail(log) == "up\ntold to end\n"


def test_a_command_that_ends_at_once_is_simply_not_alive(tmp_path: Path) -> None:
    held = Tethered(["/bin/true"], {}, tmp_path / "log")
    assert held.ended(10)
    assert not held.alive()


def test_the_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert not tail(tmp_path / "none")
