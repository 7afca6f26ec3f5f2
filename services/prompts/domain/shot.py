"""What a prompt is built from: frozen values, as the render request carries them."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import InvalidValue
from services.prompts.domain.seeds import require_seed


@dataclass(frozen=True)
class CastMember:
    """A character as seen: each trait is free text, phrases parted by commas; empty or ``unknown`` says nothing."""

    name: str
    description: str = ""
    face: str = ""
    skin: str = ""
    hair: str = ""
    body: str = ""
    clothing: str = ""
    accessories: str = ""
    distinctive: str = ""


@dataclass(frozen=True)
class Location:
    """A place; ``type`` is a word of the kind ``location_type``."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True)
class Shot:
    """One shot. Words are of the vocabulary; None leaves that side of the picture unsaid."""

    scene_id: str
    shot_number: int
    shot_type: str
    description: str = ""
    action: str = ""
    style: str | None = None
    lighting: str | None = None
    mood: str | None = None
    camera_angle: str | None = None
    composition: str | None = None
    time_of_day: str | None = None
    weather: str | None = None
    negative: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.scene_id:
            raise InvalidValue("scene_id", self.scene_id, "a shot belongs to a scene")
        if self.shot_number < 1:
            raise InvalidValue("shot_number", self.shot_number, "shots are numbered from 1")
        if self.seed is not None:
            require_seed("seed", self.seed)
