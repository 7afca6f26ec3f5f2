"""The folder in which a process keeps what it keeps itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from continuity.kernel.errors import Misconfigured


@dataclass(eq=False)
class HomeUnusable(Misconfigured):
    """Nothing can be kept in the home."""

    template = "CONTINUITY_HOME: {path} cannot be used: {cause}"
    path: str
    cause: str


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Raise ``HomeUnusable`` where the system refuses what is done with a path inside the home."""
    try:
        yield
    except OSError as error:
        raise HomeUnusable(path=str(path), cause=error.strerror or type(error).__name__) from None
