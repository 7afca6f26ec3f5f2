"""A device as a test wants it: see ``altered_model``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from continuity.inference.server import TritonServer

SHARING = 4
MEBIBYTE = 1024**2
AT_THE_START = 48 * MEBIBYTE
"""Six tenths of it, the budget for checkpoints, hold two of the small ones and not three."""
PLENTY = 1 << 40
WAITING_BYTES = 1 << 30


@dataclass(frozen=True)
class Unit:
    """What the device did from ``began_s`` on, of ``time.monotonic``, and for whom."""

    began_s: float
    phase: str
    requests: list[str]


@dataclass(frozen=True)
class Device:
    """``server`` draws on a device whose state is ``folder``."""

    server: TritonServer
    folder: Path

    def hold(self, what: str) -> None:
        """Let no unit of a phase begin, or a model that is not in memory yet not get there."""
        (self.folder / "held" / what).touch()

    def release(self, what: str) -> None:
        """Let it go on."""
        (self.folder / "held" / what).unlink(missing_ok=True)

    @contextmanager
    def holding(self, what: str) -> Iterator[None]:
        """Hold it for a while."""
        self.hold(what)
        try:
            yield
        finally:
            self.release(what)

    def units_since(self, began_s: float) -> list[Unit]:
        """Return every unit that began after that, of ``time.monotonic``, in order; also one that is held."""
        units = [Unit(*each) for each in self._noted("units")]
        return [unit for unit in units if unit.began_s > began_s]

    def has_noted(self, what: str, id: str, since_s: float) -> bool:
        """Tell whether a request was prepared, or known to be unwanted, after that."""
        return any(each[0] > since_s and each[1:] == [what, id] for each in self._noted("requests"))

    def has(self, free_bytes: int) -> None:
        """Say how much is free from now on."""
        self._set("free", free_bytes)

    def lets_wait(self, waiting_bytes: int) -> None:
        """Say how many bytes of requests may wait from now on."""
        self._set("waiting_bytes", waiting_bytes)

    @contextmanager
    def later(self, seconds: int) -> Iterator[None]:
        """Take those who wait to have come so much earlier."""
        self._set("later_s", seconds)
        try:
            yield
        finally:
            self._set("later_s", 0)

    def is_made(self) -> None:
        """Have little memory, while it is divided into budgets."""
        (self.folder / "held").mkdir()
        self.is_as_usual()
        self.has(AT_THE_START)

    def is_as_usual(self) -> None:
        """Hold nothing, and let nothing be refused for want of memory."""
        for each in (self.folder / "held").iterdir():
            each.unlink()
        self.has(PLENTY)
        self.lets_wait(WAITING_BYTES)
        self._set("later_s", 0)

    def _noted(self, file: str) -> list[list[Any]]:
        return [json.loads(line) for line in (self.folder / file).read_text().splitlines()]

    def _set(self, name: str, value: int) -> None:
        """Replace a number; whoever reads sees all of it or what was there before."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(str(value))
        fresh.replace(self.folder / name)
