"""Child processes of a benchmark: started in a folder and ended with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from continuity.inference import tether
from continuity.inference.processes import kill_group
from deploy.local.servers.base import Server

ROOT = Path(__file__).resolve().parents[3]
S = TypeVar("S", bound=Server)


@contextmanager
def child(name: str, folder: Path, *command: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends, or until this process dies; its errors go to ``folder/<name>.log``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *(str(part) for part in command)],
            cwd=ROOT,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def running(server: S) -> Iterator[S]:
    """Run a server until the block ends."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


def environment(**variables: str) -> dict[str, str]:
    """Return what a child sees: the import roots and what is named, nothing of ``CONTINUITY_…`` from outside."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**inherited, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", **variables}


def announced(process: subprocess.Popen[str]) -> str:
    """Return the address that a child announces. Raises ``RuntimeError`` when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("serving "):
        raise RuntimeError(f"{process.args!r} did not start")
    return line.split()[1]
