"""Over which requests the engine died, so that the one that kills it is known when it comes again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["Crashes", "crashes_path"]

LIMIT = 1_000
"""Requests that are remembered; the oldest is forgotten first."""


def crashes_path(state_path: Path) -> Path:
    """Return the file beside the engine's phases in which crashes are remembered."""
    return state_path.with_name(f"{state_path.name}.crashes.json")


class Crashes:
    """How often the engine died over each request, and how often its sender was told.

    Whoever watches the engine writes while it is dead, the engine while it lives: so nobody overwrites the other, and
    each reads the file once, when it is made. Not for several threads at once.
    """

    def __init__(self, state_path: Path) -> None:
        self._path = crashes_path(state_path)
        self._counts = _read(self._path)

    def note(self, request_ids: Iterable[str]) -> None:
        """Remember that the engine died while units of these requests ran."""
        for id in request_ids:
            died, told = self._counts.pop(id, (0, 0))
            self._counts[id] = (died + 1, told)
        self._write()

    def charged(self, request_id: str) -> int:
        """Return how often the engine died over a request, the first time that this is asked after each death.

        Otherwise 0: the request may be drawn.
        """
        died, told = self._counts.get(request_id, (0, 0))
        if died == told:
            return 0
        self._counts[request_id] = (died, died)
        self._write()
        return died

    def is_suspect(self, request_id: str) -> bool:
        """Tell whether the engine ever died over a request: drawn alone, it takes no others with it."""
        return request_id in self._counts

    def _write(self) -> None:
        for oldest in list(self._counts)[:-LIMIT]:
            del self._counts[oldest]
        scratch = self._path.with_suffix(f".{os.getpid()}")
        try:
            scratch.write_text(json.dumps(self._counts))
            scratch.replace(self._path)
        except OSError:  # no room: then it is remembered by this process alone
            with suppress(OSError):
                scratch.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, tuple[int, int]]:
    """Return what is remembered; a file that cannot be read remembers nothing."""
    try:
        return {str(id): (int(died), int(told)) for id, (died, told) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError):
        return {}
