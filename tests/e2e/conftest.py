"""Processes as users start them, on a home of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 90


def environment(home: Path, **variables: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    paths = f"{ROOT}:{ROOT / 'libs'}"
    named = {f"CONTINUITY_{name.upper()}": value for name, value in variables.items()}
    return {**inherited, "PYTHONPATH": paths, "CONTINUITY_HOME": str(home), **named}


class Running:
    """A process that has said where it listens."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@contextmanager
def begun(module: str, home: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Begin ``python -m module`` and end it with the block; its log goes to ``home/<module>.log``."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{module}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment(home, **variables),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def running(module: str, home: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """Run ``python -m module`` until the block ends; it has said where it listens."""
    with begun(module, home, *arguments, **variables) as process:
        yield Running(process, _announced(process, home / f"{module}.log"))


def _announced(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving "), f"{line!r}\n{log.read_text()[-4000:]}"
    return line.split()[1]


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One embedded runtime for tests that leave it as they found it."""
    with running("services.embedded", tmp_path_factory.mktemp("embedded")) as runtime:
        yield runtime


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Ends what a test has started, newest first."""
    with ExitStack() as stack:
        yield stack
