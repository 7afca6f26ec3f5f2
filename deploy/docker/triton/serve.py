"""Runs Triton and ends with it, so that the container is started again: ``serve.py COMMAND…``.

It ends Triton itself as soon as a model's interpreter dies: Triton never replaces one and goes on saying that it is
ready. Runs on the image's own Python with nothing installed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

INTERPRETER = "triton_python_b"
"""What the kernel calls one: the first letters of its program's name."""
LOOK_S = 0.5
PROC = Path("/proc")


def serve(command: Sequence[str]) -> int:
    """Return the server's exit code, 1 where a model's interpreter died."""
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
        if (seen - states.keys() or "Z" in states.values()) and not stopping.is_set():
            return given_up(server)
        seen.update(states)
    return server.returncode


def ended(server: subprocess.Popen[bytes]) -> bool:
    """Wait a moment; tell whether the server has ended."""
    with suppress(subprocess.TimeoutExpired):
        server.wait(LOOK_S)
    return server.returncode is not None


def given_up(server: subprocess.Popen[bytes]) -> int:
    """Kill the server, say why, and return the exit code of a failure."""
    server.kill()
    server.wait()
    sys.stderr.write("serve: the interpreter of a model died, so Triton was ended\n")
    return 1


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
    sys.exit(serve(sys.argv[1:]))
