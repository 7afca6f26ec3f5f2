"""What has happened to characters and locations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from continuity.kernel.values import ObjectRef

if TYPE_CHECKING:
    from services.characters.domain.character import Character
    from services.characters.domain.location import Location


@dataclass(frozen=True)
class CharacterIngested:
    """A photograph is stored; vision and matting take it up."""

    character_id: str
    version: int
    name: str
    picture: ObjectRef
    keep_background: bool


@dataclass(frozen=True)
class CharacterReady:
    """Analysis and matte have both answered."""

    character: Character


@dataclass(frozen=True)
class CharacterDeleted:
    """Nobody casts this character any more."""

    character_id: str
    version: int


@dataclass(frozen=True)
class LocationSaved:
    """A location was made or changed."""

    location: Location


@dataclass(frozen=True)
class LocationDeleted:
    """Nobody plays in this location any more."""

    location_id: str
    version: int
