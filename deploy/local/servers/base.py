"""What every server has: a folder, a process, a way to tell that it really answers."""

from __future__ import annotations

import json
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from deploy.local.ports import is_free
from deploy.local.processes import ProcessId, Tethered, launched, tail

POLL_S = 0.1
KILL_LIMIT_S = 20.0
PORT_LIMIT_S = 3.0


class ServerFailed(Exception):
    """A server did not come up; the message holds the end of its log."""


def at_once(actions: Sequence[Callable[[], object]]) -> None:
    """Run all side by side, however many cores there are: they wait for others. Then raise the first failure."""
    with ThreadPoolExecutor(max_workers=max(1, len(actions))) as threads:
        running = [threads.submit(action) for action in actions]
    for each in running:
        each.result()


class Server(ABC):
    """One server on a folder of its own; started again it has the same port and data.

    It dies with the process that started it unless it is ``detached``; who is detached is remembered in the folder, and
    another process that opens the same folder can stop it. Methods block; call them from a thread beside an event loop.
    """

    name: str
    start_limit_s: ClassVar[float] = 60.0

    def __init__(self, folder: Path, port: int, *, detached: bool = False) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._detached = detached
        self._tethered: Tethered | None = None

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the server has said, over all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        found = self._id
        return found.pid if found else None

    @property
    def ending(self) -> str:
        """How its process ended by itself: ``exit code 1``, ``SIGKILL``; empty where it runs or nobody knows."""
        return self._tethered.ending if self._tethered else ""

    def alive(self) -> bool:
        """Tell whether its process runs, whether it answers or not."""
        return self._id is not None

    def start(self) -> None:
        """Return when the server answers; at once when it does already. Raises ``ServerFailed``."""
        self.launch()
        try:
            self._until_it_answers()
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start its process unless it runs, and return before it answers. Raises ``ServerFailed``."""
        if self.alive():
            return
        self._require_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        command, environment = self.command(), self.environment()
        if self._detached:
            self._remember(launched(command, environment, self.log).pid)
        else:
            self._tethered = Tethered(command, environment, self.log)

    def stop(self, limit_s: float = KILL_LIMIT_S) -> None:
        """Let it end by itself, then kill it."""
        self.signal(signal.SIGTERM)
        if not self._ended(limit_s):
            self.kill()
        self._forget()

    def kill(self) -> None:
        """Kill it without a warning and return when it is gone."""
        self.signal(signal.SIGKILL)
        if not self._ended(KILL_LIMIT_S) and self._tethered:
            self._tethered.end()
        self._forget()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, as SIGSTOP and SIGCONT to hold it up for a while."""
        # It may end between two looks.
        if found := self._id:
            found.signal(number)

    def restart(self) -> None:
        """Stop and start again on the same port and data."""
        self.stop()
        self.start()

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command line; may write files that it needs, and build the program."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it does its work now, within a few seconds."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that it runs with."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def _id(self) -> ProcessId | None:
        if self._tethered:
            return self._tethered.id if self._tethered.alive() else None
        remembered = self._remembered()
        return remembered if remembered and remembered.alive() else None

    def _remember(self, pid: int) -> None:
        if started := ProcessId.of(pid):
            self._record.write_text(json.dumps({"pid": started.pid, "began": started.began}))

    def _remembered(self) -> ProcessId | None:
        try:
            return ProcessId(**json.loads(self._record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _require_port(self) -> None:
        """Wait a moment for what a killed process had started to let go of the port."""
        deadline = time.monotonic() + PORT_LIMIT_S
        while not is_free(self.port):
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} cannot start: another program listens on port {self.port}")
            time.sleep(POLL_S)

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_limit_s
        while not self.answers():
            if not self.alive():
                raise self._failed("ended while it started")
            if time.monotonic() > deadline:
                raise self._failed(f"does not answer after {self.start_limit_s:.0f} s")
            time.sleep(POLL_S)

    def _failed(self, how: str) -> ServerFailed:
        return ServerFailed(f"{self.name} {how}; end of {self.log}:\n{tail(self.log)}")

    def _ended(self, limit_s: float) -> bool:
        if self._tethered:
            return self._tethered.ended(limit_s)
        remembered = self._remembered()
        return remembered is None or remembered.ended(limit_s)

    def _forget(self) -> None:
        self._tethered = None
        self._record.unlink(missing_ok=True)
