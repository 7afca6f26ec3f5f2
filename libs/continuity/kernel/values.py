"""Values that several services speak of, as their protos do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from continuity.kernel.errors import ContinuityError

T = TypeVar("T")


@dataclass(frozen=True)
class ObjectRef:
    """Where bytes lie in the object store. ``sha256`` is lower-case hexadecimal."""

    key: str
    sha256: str
    size_bytes: int
    content_type: str


@dataclass(frozen=True)
class Failure:
    """Why something failed: a stable reason for machines, a message for people, the values it names."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ContinuityError) -> Failure:
        """Return what an error says, with its values."""
        return cls(error.reason, str(error), error.metadata())


@dataclass(frozen=True)
class Change(Generic[T]):
    """What a decision comes to: the aggregate as it is now, and the events that tell of it."""

    aggregate: T
    events: Sequence[object] = ()
