"""Processes that are told apart from later ones of the same number, and two ways to start them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from continuity.inference import tether
from continuity.inference.processes import children, kill_group

FORK_LIMIT_S = 10.0
POLL_S = 0.005
ENDING_LIMIT_S = 2.0
SIGNALLED = 128
"""What a tether adds to the number of the signal that ended its command."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# A tether ends what it holds when the thread that started it ends, so one thread that lives as long as this process
# starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


@dataclass(frozen=True)
class ProcessId:
    """A process: its number, and when it began, because numbers come again."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return who has the number now, or None when it is nobody or a zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, f"{BOOT_ID.read_text().strip()} {fields[19]}")

    def alive(self) -> bool:
        """Tell whether the process is there and no zombie."""
        return ProcessId.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process and never to another that took its number."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive():
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    def ended(self, limit_s: float) -> bool:
        """Wait for the end, whoever's child it is; tell whether it came within the limit."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            return not self.alive() or bool(select.select([descriptor], [], [], limit_s)[0])
        finally:
            os.close(descriptor)


class Tethered:
    """A command that dies with this process, however this process dies, and takes what it started along."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        leader = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid())]
        self._leader = _starter.submit(launched, [*leader, *command], environment, log).result()
        self.id = self._child()

    def alive(self) -> bool:
        """Tell whether the command runs; reaps its tether when not."""
        return self.id.alive() if self.id and self._leader.poll() is None else False

    @property
    def ending(self) -> str:
        """How the command ended, such as ``exit code 1`` or ``SIGKILL``; empty while it runs."""
        if self.alive() or not self.ended(ENDING_LIMIT_S):  # the tether tells it, a moment later
            return ""
        code = self._leader.returncode
        number = code - SIGNALLED if code > SIGNALLED else -code  # the tether's own end is told by a negative one
        return signal.Signals(number).name if number in set(signal.Signals) else f"exit code {code}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command itself."""
        if self.id:
            self.id.signal(number)

    def ended(self, limit_s: float) -> bool:
        """Wait until the command and all that it started are gone."""
        try:
            self._leader.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """Kill the whole group and wait."""
        kill_group(self._leader.pid)
        self._leader.wait()

    def _child(self) -> ProcessId | None:
        """Return the command's process; None when it ended before anybody looked."""
        deadline = time.monotonic() + FORK_LIMIT_S
        while self._leader.poll() is None and time.monotonic() < deadline:
            for pid in children(self._leader.pid):
                return ProcessId.of(pid)
            time.sleep(POLL_S)
        return None


def launched(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; its output is added to ``log``. Its end is not tied to anybody's."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def tail(log: Path, size_bytes: int = 4_000) -> str:
    """Return the end of a log, or nothing where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
