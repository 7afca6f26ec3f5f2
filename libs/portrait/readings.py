"""What is read off a picture, with how sure it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """A word, `unknown` where nothing can be seen, and a confidence 0..1."""

    value: str
    confidence: float


UNKNOWN = Reading("unknown", 0.0)
