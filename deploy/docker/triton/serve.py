"""Runs Triton and ends with it, so that the container is started again: ``serve.py COMMAND…``.

It ends Triton itself as soon as a model's interpreter dies or hangs: Triton never replaces one and goes on saying that
it is ready. That one hangs is seen where ``CONTINUITY_ENGINE_STATE`` names the file in which the diffusion engine says
what it does; beside it is kept over which requests it died, for the next start. Runs on the image's own Python with
nothing installed.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

INTERPRETER = "triton_python_b"
"""What the kernel calls one: the first letters of its program's name."""
LOOK_S = 0.25
END_LIMIT_S = 5.0
"""How long the kernel may take to end what was killed."""
PROC = Path("/proc")
STATE = "CONTINUITY_ENGINE_STATE"


class Watch(Protocol):
    """What is told of a model's interpreter; that of the diffusion engine is ``continuity.inference.engine_watch``."""

    def begin(self) -> None:
        """Forget what a predecessor said."""

    def hang(self) -> str:
        """Return how it hangs, or nothing. To be asked every ``LOOK_S``."""
        ...

    def death(self, pid: int) -> str:
        """Return what is to be said of one that died."""
        ...

    def ended(self) -> None:
        """Remember over whose requests, now that it is surely dead."""


class Deaths:
    """Where no model says what it does, only deaths are seen."""

    def begin(self) -> None:
        """See ``Watch``."""

    def hang(self) -> str:
        """See ``Watch``."""
        return ""

    def death(self, pid: int) -> str:
        """See ``Watch``."""
        return f"the interpreter of a model (process {pid}) died"

    def ended(self) -> None:
        """See ``Watch``."""


def serve(command: Sequence[str], state: str = "") -> int:
    """Return the server's exit code, 1 where a model's interpreter died or hung."""
    server: subprocess.Popen[bytes] | None = None
    watch = watch_of(state, lambda: interpreters(server.pid) if server else ())
    watch.begin()
    stopping = threading.Event()
    server = subprocess.Popen(command)

    def stop(_number: int, _frame: object) -> None:
        stopping.set()
        server.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    seen: set[int] = set()
    while not ended(server):
        states = interpreters(server.pid)
        dead = [*(seen - states.keys()), *(pid for pid, letter in states.items() if letter == "Z")]
        why = watch.death(dead[0]) if dead else watch.hang()
        if why and not stopping.is_set():
            return given_up(server, watch, why)
        seen.update(states)
    return server.returncode


def watch_of(state: str, pids: Callable[[], Collection[int]]) -> Watch:
    """Return what watches the interpreters that ``pids`` gives."""
    if not state:
        return Deaths()
    from continuity.inference.engine_watch import EngineWatch  # noqa: PLC0415 - the image of the composer has it not

    return EngineWatch(Path(state), pids)


def ended(server: subprocess.Popen[bytes]) -> bool:
    """Wait a moment; tell whether the server has ended."""
    with suppress(subprocess.TimeoutExpired):
        server.wait(LOOK_S)
    return server.returncode is not None


def given_up(server: subprocess.Popen[bytes], watch: Watch, why: str) -> int:
    """Kill the server and the interpreters, say why, and return the exit code of a failure."""
    sys.stderr.write(f"serve: {why}, so Triton was ended\n")
    left = [opened for pid in interpreters(server.pid) for opened in _opened(pid)]
    server.kill()
    server.wait()
    for interpreter in left:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(interpreter, signal.SIGKILL)
        select.select([interpreter], [], [], END_LIMIT_S)
    watch.ended()
    return 1


def _opened(pid: int) -> list[int]:
    """Return a process as what stays that process although another one may get its id; none where it has ended."""
    try:
        return [os.pidfd_open(pid)]
    except ProcessLookupError:
        return []


def interpreters(pid: int, proc: Path = PROC) -> dict[int, str]:
    """Return the interpreters of the server's models by process id, with the kernel's letter for how each one is."""
    found: dict[int, str] = {}
    for listing in (proc / f"{pid}" / "task").glob("*/children"):
        for child in _read(listing).split():
            name, _, rest = _read(proc / child / "stat").partition("(")[2].rpartition(")")
            if name == INTERPRETER:
                found[int(child)] = rest.split()[0]
    return found


def _read(path: Path) -> str:
    """Return what the kernel tells there, nothing of a thread or child that has ended meanwhile."""
    with suppress(OSError):
        return path.read_text()
    return ""


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], os.environ.get(STATE, "")))
