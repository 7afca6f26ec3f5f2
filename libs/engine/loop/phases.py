"""What the device does now, told in a file to whoever watches this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PhaseLimits", "Phases"]

SIZE = 512
_MOST_REQUESTS = 4


@dataclass(frozen=True)
class PhaseLimits:
    """How many seconds a phase may last before whoever watches takes the engine for hung; by default on a GPU."""

    starting: float = 300.0
    load: float = 600.0
    compile: float = 1800.0
    encode: float = 60.0
    step: float = 30.0
    decode: float = 60.0
    idle: None = None

    @classmethod
    def of(cls, device_type: str) -> PhaseLimits:
        """Return those for a torch device type: a processor takes minutes over a step of a large picture."""
        return cls(encode=900.0, step=1800.0, decode=1800.0) if device_type == "cpu" else cls()


class Phases:
    """Writes a file of 512 bytes, JSON padded with spaces, in one call, so that a reader never sees half of it.

    ``began_s`` is of CLOCK_MONOTONIC, which processes share. Without a path nothing is written.
    """

    def __init__(self, path: Path | None, limits: PhaseLimits | None = None) -> None:
        self._limits = limits or PhaseLimits()
        self._file = -1 if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.enter("starting")

    def enter(self, phase: str, requests: Sequence[str] = ()) -> None:
        """Say that ``phase`` begins now, for these requests; at most four of them are told."""
        if self._file >= 0:
            os.pwrite(self._file, self._record(phase, requests), 0)

    def close(self) -> None:
        """Give the file back; it keeps what was said last."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _record(self, phase: str, requests: Sequence[str]) -> bytes:
        record: dict[str, Any] = {
            "pid": os.getpid(),
            "phase": phase,
            "began_s": time.monotonic(),
            "limit_s": getattr(self._limits, phase),
            "requests": list(requests[:_MOST_REQUESTS]),
        }
        while len(encoded := json.dumps(record).encode()) > SIZE:  # ids full of characters that JSON escapes
            record["requests"] = record["requests"][:-1]
        return encoded.ljust(SIZE)
