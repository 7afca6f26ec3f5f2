"""The cast as rendering knows it: its own projection of what the characters service tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CastEntry:
    """A character or location at its newest version. ``content`` is its resource message, only passed on."""

    id: str
    name: str
    version: int
    content: str
    deleted: bool = False


@dataclass(frozen=True)
class CastMember:
    """Names the version of a character or location that a job has frozen."""

    id: str
    name: str
    version: int


@dataclass(frozen=True)
class FrozenCast:
    """Everything that a shot depends on besides itself; ``location`` None means a neutral studio."""

    characters: tuple[CastEntry, ...] = ()
    location: CastEntry | None = None

    @property
    def members(self) -> tuple[CastMember, ...]:
        """Who is in it, location last."""
        entries = [*self.characters, *([self.location] if self.location else [])]
        return tuple(CastMember(entry.id, entry.name, entry.version) for entry in entries)
