"""A device as a test wants it: see ``altered_model``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from continuity.inference.server import TritonServer

SHARING = 4
MEBIBYTE = 1024**2
AT_THE_START = 48 * MEBIBYTE
"""Six tenths of it, the budget for checkpoints, hold two of the small ones and not three."""
PLENTY = 1 << 40


@dataclass(frozen=True)
class Unit:
    """What the device did from ``began_s`` on, of ``time.monotonic``, and for whom."""

    began_s: float
    phase: str
    requests: list[str]


@dataclass(frozen=True)
class Device:
    """``server`` believes that as many bytes are free as stand in ``free``, and notes its units in ``noted``.

    It waits with the weights of models that ``held`` has files of.
    """

    server: TritonServer
    free: Path
    noted: Path
    held: Path

    @contextmanager
    def holding(self, model: str) -> Iterator[None]:
        """Let a model that is not in memory yet not get there."""
        (self.held / model).touch()
        try:
            yield
        finally:
            (self.held / model).unlink()

    def units_since(self, began_s: float) -> list[Unit]:
        """Return every unit that began after that, of ``time.monotonic``, in order."""
        noted = [Unit(*json.loads(line)) for line in self.noted.read_text().splitlines()]
        return [unit for unit in noted if unit.began_s > began_s]

    def has(self, free_bytes: int) -> None:
        """Say how much is free from now on; whoever reads sees all of it or what was there before."""
        fresh = self.free.with_suffix(".new")
        fresh.write_text(str(free_bytes))
        fresh.replace(self.free)

    def has_at_the_start(self) -> None:
        """Have little, while it is divided into budgets."""
        self.has(AT_THE_START)

    def has_plenty(self) -> None:
        """Let nothing be refused for want of memory."""
        self.has(PLENTY)
