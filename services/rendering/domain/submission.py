"""A submission: shots accepted together, fanned out into one job each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from continuity.kernel.errors import InvalidValue
from continuity.kernel.ids import derived_id
from services.rendering.domain.asked_options import AskedOptions
from services.rendering.domain.render_options import RenderOptions, merged
from services.rendering.domain.shot import Shot

DEFAULT_WIDTH_PX = 1024
DEFAULT_HEIGHT_PX = 576


@dataclass(frozen=True)
class Submission:
    """``fanned_out`` is true once every job exists. The shots' tags in the queue go on from ``first_tag``.

    ``time_to_live`` is in seconds; None means for ever. ``options`` are those of every shot; a shot's own go before.
    ``renderer`` is the one of the service that has accepted it.
    """

    id: str
    film: str
    shots: tuple[Shot, ...]
    seed: int
    priority: int
    width_px: int
    height_px: int
    create_time: float
    time_to_live: float | None = None
    first_tag: int = 0
    fanned_out: bool = False
    options: RenderOptions | None = None
    commercial: bool = False
    renderer: str | None = None

    def __post_init__(self) -> None:
        seen: set[tuple[str, int]] = set()
        for index, shot in enumerate(self.shots):
            place = (shot.scene_id, shot.shot_number)
            if place in seen:
                raise InvalidValue(
                    field=f"shots[{index}].shot_number",
                    value=f"{shot.scene_id}/{shot.shot_number}",
                    limit="scene and number must be unique within a submission",
                )
            seen.add(place)

    def job_id(self, shot: Shot) -> str:
        """The id of the job that a shot becomes."""
        return derived_id("job", self.id, shot.scene_id, shot.shot_number)

    def optioned(self, shot: Shot) -> Shot:
        """Return the shot with the options that it is drawn with."""
        return replace(shot, options=merged(self.options, shot.options))

    @property
    def asked_options(self) -> AskedOptions:
        """The film's options and those of the shots."""
        return AskedOptions(self.options, tuple(shot.options for shot in self.shots))

    @property
    def expire_time(self) -> float | None:
        """When the jobs fail that are not done; None means never."""
        return None if self.time_to_live is None else self.create_time + self.time_to_live

    @property
    def content_hash(self) -> str:
        """The same for two submissions that ask for the same, whatever draws them."""
        asked = asdict(replace(self, id="", create_time=0.0, first_tag=0, fanned_out=False, renderer=None))
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
