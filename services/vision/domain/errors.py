"""What can be wrong with a request about analyses."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Absent, Invalid


@dataclass(eq=False)
class AnalysisMissing(Absent):
    """The character has not been looked at, or does not exist."""

    template = "there is no analysis of character {character_id!r}"
    character_id: str


@dataclass(eq=False)
class PictureUnusable(Invalid):
    """The analyser cannot work on the photograph."""

    template = "photo: {cause}"
    cause: str
