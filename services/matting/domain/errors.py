"""What can go wrong with mattes."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Absent, Invalid


@dataclass(eq=False)
class MatteMissing(Absent):
    """The character has not been cut out, or does not exist."""

    template = "there is no matte of character {character_id!r}"
    character_id: str


@dataclass(eq=False)
class NoFigureFound(Invalid):
    """Nothing in the photograph could be told from its background."""

    template = "photo: {cause}"
    cause: str
