"""A shot, as the shot planner hands it on; every choice is a word of the vocabulary, empty where none was made."""

from __future__ import annotations

from dataclasses import dataclass

from services.rendering.domain.render_options import RenderOptions


@dataclass(frozen=True)
class Shot:
    """The first of ``character_ids`` is whom the shot is about; ``duration_s`` is 0 when not known."""

    scene_id: str
    shot_number: int
    shot_type: str
    description: str = ""
    action: str = ""
    camera_angle: str = ""
    composition: str = ""
    lighting: str = ""
    mood: str = ""
    style: str = ""
    time_of_day: str = ""
    weather: str = ""
    character_ids: tuple[str, ...] = ()
    location_id: str = ""
    negative: str = ""
    duration_s: float = 0.0
    seed: int | None = None
    options: RenderOptions | None = None
