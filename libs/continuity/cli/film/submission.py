"""A shot list as the request that the render service takes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

from continuity import __version__
from continuity.api.common.v1 import shot_pb2
from continuity.api.common.v1.shot_pb2 import CameraAngle, ShotType, TimeOfDay, Weather
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.cli.choices import value
from continuity.cli.film.cast import Cast
from continuity.cli.film.options import NOTHING, Sources, message, over
from continuity.client.shotlist import RenderOptions, Scene, Shot, ShotList, Size
from continuity.client.shotlist.size import proportion, side

FRAME_PX = 1024 * 576
"""Every aspect ratio gets as many pixels as 16:9 at 1024×576 (rounded: sides are multiples of 8)."""


@dataclass(frozen=True)
class Overrides:
    """What the command line says against or beside the list; None: nothing. ``within_s`` is in seconds.

    ``commercial`` makes the film commercial that does not say so itself, and takes it back from none.
    """

    style: str | None = None
    render: RenderOptions = NOTHING
    size: Size | None = None
    seed: int | None = None
    priority: int = 0
    again: bool = False
    within_s: float | None = None
    commercial: bool = False


def overridden(shots: ShotList, overrides: Overrides) -> ShotList:
    """Return the list with style and options in every shot, and seed, size and licence guard in the film."""
    commercial = shots.film.commercial or overrides.commercial
    film = replace(shots.film, render=over(shots.film.render, overrides.render), commercial=commercial)
    if overrides.seed is not None:
        film = replace(film, seed=overrides.seed)
    if overrides.size is not None:
        film = replace(film, size=overrides.size)
    if overrides.style is not None:
        film = replace(film, style=overrides.style)
    scenes = tuple(
        replace(scene, shots=tuple(_overridden(shot, overrides) for shot in scene.shots)) for scene in shots.scenes
    )
    return replace(shots, film=film, scenes=scenes)


def _overridden(shot: Shot, overrides: Overrides) -> Shot:
    own = shot.render and over(shot.render, overrides.render)
    return replace(shot, render=own, style=shot.style if overrides.style is None else overrides.style)


def submission(shots: ShotList, cast: Cast, sources: Sources, overrides: Overrides) -> SubmitShotsRequest:
    """Return the request. Its id follows from all content, so that the same list again is the same submission."""
    width_px, height_px = shots.film.size or frame_size(shots.film.aspect)
    request = SubmitShotsRequest(
        film=shots.film.title,
        shots=[_shot(scene, shot, cast, sources) for scene, shot in shots.shots()],
        seed=shots.film.seed,
        priority=overrides.priority,
        width_px=width_px,
        height_px=height_px,
        options=message(shots.film.render, sources),
        commercial=shots.film.commercial,
    )
    if overrides.within_s is not None:
        request.time_to_live.FromNanoseconds(int(overrides.within_s * 1e9))
    content = request.SerializeToString(deterministic=True)
    request.request_id = hashlib.sha256(b"\0".join([__version__.encode(), cast.content.encode(), content])).hexdigest()
    return request


def frame_size(aspect: str | None) -> Size:
    """Return the size of a film that says none, for ``width:height`` (None: 16:9)."""
    width = math.sqrt(FRAME_PX * proportion(aspect or "16:9"))
    return Size(side(width), side(FRAME_PX / width))


def _shot(scene: Scene, shot: Shot, cast: Cast, sources: Sources) -> shot_pb2.Shot:
    return shot_pb2.Shot(
        scene_id=scene.id,
        shot_number=shot.number,
        shot_type=value(ShotType, shot.shot_type),
        description=shot.description,
        action=shot.action,
        camera_angle=value(CameraAngle, shot.camera_angle),
        composition=shot.composition or "",
        lighting=shot.lighting or "",
        mood=shot.mood or "",
        style=shot.style,
        time_of_day=value(TimeOfDay, shot.time_of_day),
        weather=value(Weather, shot.weather),
        character_ids=[cast.characters[name] for name in shot.characters],
        location_id=cast.locations[shot.location],
        negative=shot.negative,
        duration_s=shot.duration_s or 0.0,
        seed=shot.seed,
        options=message(shot.render, sources),
    )
