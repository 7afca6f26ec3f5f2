"""Where the image of a character can be read."""

from __future__ import annotations

from dataclasses import dataclass

from services.characters.domain.character import Character
from services.characters.handlers.ports import Pictures


@dataclass(frozen=True)
class AddressImage:
    """The image is the figure, and the photograph until there is one."""

    pictures: Pictures

    def __call__(self, character: Character) -> str:
        """Return the address; empty where objects have none."""
        return self.pictures.address(character.figure or character.picture)
