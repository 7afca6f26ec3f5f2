"""What can be amiss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a finding is about."""

    LOST = "lost"
    UNASKED = "unasked"
    DUPLICATED = "duplicated"
    FAILED = "failed"
    DAMAGED = "damaged"
    ORPHANED = "orphaned"
    LEASED = "leased"
    UNPUBLISHED = "unpublished"
    UNHANDLED = "unhandled"
    UNAPPLIED = "unapplied"
    UNSEEN = "unseen"
    DISORDERED = "disordered"
    HELD = "held"
    DEAD = "dead"
    UNEXERCISED = "unexercised"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    kind: Kind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject} {self.text}"
