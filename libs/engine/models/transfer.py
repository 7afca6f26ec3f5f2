"""A model that is on its way here: what is told of it, and that one process alone fetches it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError

__all__ = ["PullFailed", "Told", "alone"]


@dataclass(eq=False)
class PullFailed(EngineError):
    """A model could not be fetched; ``reason`` says what to do."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} could not be fetched: {self.reason}"


@dataclass(frozen=True)
class Told:
    """How far a model has got, over all its files."""

    name: str
    file: str
    done_bytes: int
    total_bytes: int


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Make the folder that a model arrives in, and keep others from it. Raises ``PullFailed`` where one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, name)
        yield
    finally:
        os.close(descriptor)
        with suppress(OSError):  # something has arrived, or it is the model's folder by now
            folder.rmdir()


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PullFailed(name, "another process is fetching it just now") from error
