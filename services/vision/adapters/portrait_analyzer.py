"""The embedded analyser: ``portrait``, which needs no weights and no key, in the CPU pool."""

from __future__ import annotations

import cv2
import numpy as np

from continuity.compute.pool import CpuPool
from portrait.appearance import Appearance, Colour, describe
from portrait.faces import find_faces
from portrait.segmentation import figure_mask
from services.vision.domain.analysis import Light, NormalizedBox, Observations, Swatch, Trait


class PortraitAnalyzer:
    """The ``Analyzer`` port."""

    name = "portrait 1"

    def __init__(self, pool: CpuPool) -> None:
        self._pool = pool

    async def look(self, picture: bytes) -> Observations:
        """Return what is seen in an upright picture (PNG). Raises ``ContinuityError``."""
        return await self._pool.run(_look, picture)


def _look(picture: bytes) -> Observations:
    rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    pixels = rgb.astype(np.uint8, copy=False)
    faces = find_faces(pixels)
    seen = describe(pixels, faces, figure_mask(pixels, faces[0] if faces else None))
    return _observations(seen, brightness=float(np.mean(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))) / 255)


def _observations(seen: Appearance, brightness: float) -> Observations:
    face = seen.face
    return Observations(
        face_box=NormalizedBox(face.x, face.y, face.width, face.height) if face else None,
        facing=(face.facing or 0.0) if face else 0.0,
        people_count=seen.people,
        skin=_trait(seen.skin),
        hair=_trait(seen.hair.colour),
        hair_length=seen.hair.length.value,
        clothing=tuple(Swatch(swatch.name, swatch.hex, swatch.share) for swatch in seen.clothing),
        framing=seen.framing.value,
        light=Light(
            direction=seen.light.direction.value,
            quality=seen.light.hardness.value,
            temperature=seen.light.warmth.value,
            brightness=round(brightness, 3),
        ),
    )


def _trait(colour: Colour) -> Trait:
    return Trait(colour.name, colour.hex, colour.confidence)
