"""What the composer refuses, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class PrevizError(Exception):
    """Base of every refusal: the request can never be drawn as it is."""


@dataclass(eq=False)
class InvalidField(PrevizError):
    """A field of the frame's specification is not acceptable; ``limit`` says what would be."""

    field: str
    value: Any
    limit: str

    def __str__(self) -> str:
        return f"{self.field}: {_shortened(self.value)} is not acceptable; {self.limit}"


@dataclass(eq=False)
class InvalidPixels(PrevizError):
    """An array or an encoded picture is not what its name promises."""

    name: str
    found: str
    limit: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found} is not acceptable; {self.limit}"


class Abandoned(Exception):  # not a refusal: nothing is wrong with the request
    """Raised by a stage listener to stop a composition that nobody waits for any more."""


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
