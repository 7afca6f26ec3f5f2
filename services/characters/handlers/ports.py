"""What the use cases need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from continuity.kernel.values import Change, ObjectRef
from services.characters.domain.character import Character
from services.characters.domain.location import Location


@dataclass(frozen=True)
class OwnedCharacter:
    """A character and the project that it belongs to."""

    project: str
    character: Character


class Characters(Protocol):
    """The characters of every project. Deleted ones are found by id only."""

    async def get(self, project: str, id: str) -> Character:
        """Return a character by id. Raises ``CharacterMissing``."""
        ...

    async def named(self, project: str, name: str) -> Character | None:
        """Return the character that has the name, if one has."""
        ...

    async def add(self, project: str, change: Change[Character]) -> None:
        """Write a new character. Raises ``CharacterNameTaken``."""
        ...

    async def change(self, project: str, id: str, decide: Callable[[Character], Change[Character] | None]) -> Character:
        """Change a character by a decision. Raises ``CharacterMissing`` and ``CharacterNameTaken``."""
        ...

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Character], str]:
        """Return living characters by id, and the token of the next page."""
        ...

    async def unanswered(self, limit: int) -> list[OwnedCharacter]:
        """Return characters of every project that are not READY, those to be looked at the soonest first."""
        ...

    async def has_unpublished(self, project: str, id: str) -> bool:
        """Tell whether events of a character wait to be published."""
        ...


class Locations(Protocol):
    """The locations of every project."""

    async def named(self, project: str, name: str) -> Location | None:
        """Return the location that has the name, if one has."""
        ...

    async def get(self, project: str, id: str) -> Location:
        """Return a location by id. Raises ``LocationMissing``."""
        ...

    async def save(
        self, project: str, location: Location, decide: Callable[[Location], Change[Location] | None]
    ) -> Location:
        """Add the location, or change the one that has its id by a decision."""
        ...

    async def change(self, project: str, id: str, decide: Callable[[Location], Change[Location] | None]) -> Location:
        """Change a location by a decision. Raises ``LocationMissing``."""
        ...

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Location], str]:
        """Return locations that are not deleted by id, and the token of the next page."""
        ...


@dataclass(frozen=True)
class Picture:
    """A photograph made safe: a PNG, upright, 8-bit sRGB, at most 2048 px long."""

    png: bytes
    width_px: int
    height_px: int
    source_content_type: str
    notes: tuple[str, ...]


class PhotoIntake(Protocol):
    """Reads photographs that strangers send."""

    async def read(self, photo: bytes) -> Picture:
        """Return the photograph made safe. Raises ``Invalid`` errors that name field, value and limit."""
        ...


class Pictures(Protocol):
    """Stores the bytes of photographs."""

    async def store(self, project: str, data: bytes, content_type: str) -> ObjectRef:
        """Store bytes under their hash; the same bytes again are the same object."""
        ...

    def address(self, picture: ObjectRef) -> str:
        """Return where anybody may read a picture for an hour or longer; empty where nobody can."""
        ...
