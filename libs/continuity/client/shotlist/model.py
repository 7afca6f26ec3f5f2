"""A shot list as values: read, checked and complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from continuity.client.shotlist.render_options import RenderOptions
from continuity.client.shotlist.size import Size


@dataclass(frozen=True)
class Film:
    """The film as a whole; ``aspect`` is width:height, ``size`` wins over it, ``render`` is for every shot."""

    title: str
    style: str
    seed: int = 0
    aspect: str | None = None
    size: Size | None = None
    commercial: bool = False
    render: RenderOptions | None = None


@dataclass(frozen=True)
class Character:
    """A person, known by one photograph; ``height_m`` is None where nobody said."""

    name: str
    photo: Path
    keep_background: bool = False
    description: str = ""
    height_m: float | None = None


@dataclass(frozen=True)
class Location:
    """A place; ``type`` is a word of the vocabulary."""

    name: str
    type: str
    description: str
    photo: Path | None = None
    time_of_day: str | None = None
    weather: str | None = None


@dataclass(frozen=True)
class Shot:
    """One keyframe. Words are those of the vocabulary; what scene, location and film say of it is filled in.

    None: nobody said. ``render`` is the shot's own alone: the service puts it above the film's, field by field.
    """

    number: int
    shot_type: str
    description: str
    location: str
    style: str
    characters: tuple[str, ...] = ()
    action: str = ""
    camera_angle: str | None = None
    composition: str | None = None
    lighting: str | None = None
    mood: str | None = None
    time_of_day: str | None = None
    weather: str | None = None
    duration_s: float | None = None
    seed: int | None = None
    negative: str = ""
    render: RenderOptions | None = None


@dataclass(frozen=True)
class Scene:
    """Shots that belong together, in order."""

    id: str
    title: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class ShotList:
    """A film in the order of its scenes."""

    film: Film
    characters: tuple[Character, ...]
    locations: tuple[Location, ...]
    scenes: tuple[Scene, ...]

    def shots(self) -> Iterator[tuple[Scene, Shot]]:
        """Yield every shot with its scene, in the order of the film."""
        for scene in self.scenes:
            for shot in scene.shots:
                yield scene, shot
