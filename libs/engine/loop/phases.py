"""What the device does now, told in a file to whoever watches this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PhaseLimits", "Phases"]

SIZE = 512
_MOST_REQUESTS = 4
_KINDS_KNOWN = 1_000
_TIMES_LONGER = 20.0
_SHORTEST_S = 60.0
"""What was done before may take so many times longer than it ever did, and so long at least."""


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

    ``began_s`` is of CLOCK_MONOTONIC, which processes share. Without a path nothing is written. A phase has its usual
    limit until the same ``kind`` of work went through it once: where that took a second, minutes are a hang.
    """

    def __init__(self, path: Path | None, limits: PhaseLimits | None = None) -> None:
        self.limits = limits or PhaseLimits()
        self._longest_s: dict[tuple[str, Hashable], float] = {}
        self._file = -1 if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.enter("starting")

    def enter(self, phase: str, requests: Sequence[str] = (), kind: Hashable = None) -> None:
        """Say that ``phase`` begins now, for these requests; at most four of them are told."""
        if self._file >= 0:
            os.pwrite(self._file, self._record(phase, requests, self._limit_s(phase, kind)), 0)

    def took(self, phase: str, kind: Hashable, seconds: float) -> None:
        """Remember how long a phase took that went well; one that failed says nothing. ``kind`` None is none."""
        if kind is not None:
            longest_s = max(seconds, self._longest_s.pop((phase, kind), 0.0))
            self._longest_s[phase, kind] = longest_s
            if len(self._longest_s) > _KINDS_KNOWN:
                del self._longest_s[next(iter(self._longest_s))]

    def close(self) -> None:
        """Give the file back; it keeps what was said last."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _limit_s(self, phase: str, kind: Hashable) -> float | None:
        limit_s: float | None = getattr(self.limits, phase)
        longest_s = self._longest_s.get((phase, kind))
        if limit_s is None or longest_s is None:
            return limit_s
        return min(limit_s, max(_SHORTEST_S, _TIMES_LONGER * longest_s))

    def _record(self, phase: str, requests: Sequence[str], limit_s: float | None) -> bytes:
        record: dict[str, Any] = {
            "pid": os.getpid(),
            "phase": phase,
            "began_s": time.monotonic(),
            "limit_s": limit_s,
            "requests": list(requests[:_MOST_REQUESTS]),
        }
        while len(encoded := json.dumps(record).encode()) > SIZE:  # ids full of characters that JSON escapes
            record["requests"] = record["requests"][:-1]
        return encoded.ljust(SIZE)
