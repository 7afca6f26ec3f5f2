"""What a model may be used for, as whoever takes it in says."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNKNOWN", "Terms", "how_to_state"]

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Terms:
    """What a model may be used for; what is not known is not taken for free. ``source`` instead of its path."""

    licence: str = UNKNOWN
    commercial: bool = False
    source: str = ""

    @property
    def are_stated(self) -> bool:
        """Whether anything was said."""
        return self.commercial or self.licence != UNKNOWN


def how_to_state(name: str) -> str:
    """Return how the licence of an adopted model is stated afterwards."""
    return f"`continuity models remove {name}`, then adopt it with --licence NAME, and --commercial if that permits it"
