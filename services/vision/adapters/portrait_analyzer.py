"""The embedded analyser: ``portrait``, which needs no weights and no key, in the CPU pool."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from continuity.compute.pool import CpuPool
from portrait.appearance import Appearance, Colour, describe
from portrait.errors import NoFigure, PortraitError
from portrait.faces import Face, find_faces
from portrait.pictures import Bytes, Mask
from portrait.segmentation import figure_mask
from services.vision.domain.analysis import Light, NormalizedBox, Observations, Swatch, Trait
from services.vision.domain.errors import PictureUnusable

HALF = 127
BACKDROP = 128.0


class PortraitAnalyzer:
    """The ``Analyzer`` port."""

    name = "portrait 1"

    def __init__(self, pool: CpuPool) -> None:
        self._pool = pool

    async def look(self, picture: bytes) -> Observations:
        """Return what is seen in an upright picture (PNG). Raises ``ContinuityError``."""
        return await self._pool.run(_look, picture)


def _look(picture: bytes) -> Observations:
    rgb, alpha = _decoded(picture)
    try:
        faces = find_faces(rgb)
        seen = describe(rgb, faces, _figure(rgb, faces) if alpha is None else alpha > HALF)
    except PortraitError as error:
        raise PictureUnusable(cause=str(error)) from None
    return _observations(seen, brightness=float(np.mean(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))) / 255)


def _figure(pixels: Bytes, faces: Sequence[Face]) -> Mask:
    """Return the mask of the subject; an empty one where no figure stands out, of which nothing can be said then."""
    try:
        return figure_mask(pixels, faces[0] if faces else None)
    except NoFigure:
        return np.zeros(pixels.shape[:2], np.bool_)


def _decoded(picture: bytes) -> tuple[Bytes, Bytes | None]:
    """Return RGB pixels, and alpha where the picture came cut out; then it lies on grey, which is nobody's colour."""
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded.shape[2] == 3:
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False), None
    rgba = cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA).astype(np.uint8, copy=False)
    share = rgba[..., 3:].astype(np.float32) / 255
    rgb = rgba[..., :3] * share + BACKDROP * (1 - share)
    return np.rint(rgb).astype(np.uint8), rgba[..., 3]


def _observations(seen: Appearance, brightness: float) -> Observations:
    face = seen.face
    return Observations(
        face_box=NormalizedBox(face.x, face.y, face.width, face.height) if face else None,
        facing=face.facing if face else None,
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
