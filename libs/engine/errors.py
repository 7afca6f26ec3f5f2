"""What the engine refuses, and why; whatever is not listed here is a fault of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["EngineError", "ModelUnusable", "NotAPicture", "OutOfMemory", "QueueFull", "Refused", "Stopped"]

_LONGEST_VALUE = 80


class EngineError(Exception):
    """Base of everything that is told to whoever has made the request; it is the error of that request alone."""


@dataclass(eq=False)
class Refused(EngineError):
    """A field of the request is not acceptable; ``limit`` says what would be."""

    field: str
    value: Any
    limit: str

    def __str__(self) -> str:
        return f"{self.field}: {_shortened(self.value)} is not acceptable; {self.limit}"


@dataclass(eq=False)
class ModelUnusable(EngineError):
    """A checkpoint, an adapter or an embedding that cannot be used: corrupt, of another architecture, not licensed."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"model {self.name!r} cannot be used: {self.reason}"


@dataclass(eq=False)
class NotAPicture(EngineError):
    """What was computed is no picture: NaN, infinite, or black all over."""

    phase: str
    found: str

    def __str__(self) -> str:
        return f"{self.phase} gave {self.found} instead of a picture"


@dataclass(eq=False)
class OutOfMemory(EngineError):
    """The device has not the memory that this request wants; others are not touched."""

    phase: str
    wanted_bytes: int
    free_bytes: int

    def __str__(self) -> str:
        return f"{self.phase}: the device has {self.free_bytes} bytes free and the request wants {self.wanted_bytes}"


@dataclass(eq=False)
class QueueFull(EngineError):
    """What waits is as much as the engine takes; try again when some of it has ended. ``counted`` says of what."""

    value: float
    limit: float
    counted: str = "requests wait"

    def __str__(self) -> str:
        return f"the engine is full: {self.value} {self.counted}, it takes {self.limit}"


class Stopped(EngineError):
    """The request was cancelled, or the engine stops."""

    def __str__(self) -> str:
        return "cancelled"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
