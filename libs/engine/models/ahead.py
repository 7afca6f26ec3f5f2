"""Models that are loaded in one piece: their files are hashed, and so are in the system's memory, before that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from typing import Any

from engine.errors import EngineError
from engine.models.entry import Entry
from engine.models.readings import READINGS
from engine.models.verification import verified

__all__ = ["Ahead"]


class Ahead:
    """See ``Wait``. Verifies models beside the device's thread; what is wrong with one is told to who loads it then.

    Where as many others hang as may, it never gets on.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.model = entries[0].name if entries else ""
        self.moved_s = time.monotonic()
        self._entries = entries
        self._verified: Future[None] = Future()
        if not READINGS.start(self._run, lambda: self.moved_s):
            self.moved_s = -inf

    def done(self) -> bool:
        """See ``Wait``."""
        return self._verified.done()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """See ``Wait``."""
        self._verified.add_done_callback(call)

    def _run(self) -> None:
        try:
            for entry in self._entries:
                self.model = entry.name
                with suppress(EngineError, OSError):
                    verified(entry, moved=self._move)
                self._move()
        finally:
            self._verified.set_result(None)

    def _move(self) -> None:
        self.moved_s = time.monotonic()
