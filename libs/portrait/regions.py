"""Which pixels of a portrait are skin, hair and clothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait.colours import difference
from portrait.faces import Face
from portrait.pictures import Bytes, Floats, Mask, lab

_SKIN_DIFFERENCE = 14.0
_HAIR_DIFFERENCE = 16.0
_LEAST_PIXELS = 12


@dataclass(frozen=True, eq=False)
class Portrait:
    """A photograph with its figure's mask and face, and the pixels' places measured in faces from the face's middle.

    `across` is -0.5..0.5 and `down` -0.5..0.5 within the face's box.
    """

    rgb: Bytes
    lab: Floats
    mask: Mask
    across: Floats
    down: Floats

    def colours(self, where: Mask) -> Bytes:
        """The RGB uint8 pixels (n, 3) of a region."""
        return self.rgb[where]


def portrait(rgb: Bytes, face: Face, mask: Mask) -> Portrait:
    """The figure in an RGB uint8 picture, its places relative to `face`."""
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]].astype(np.float32)
    across, down = (columns - face.centre[0]) / face.width, (rows - face.centre[1]) / face.height
    return Portrait(rgb, lab(rgb), mask, across.astype(np.float32), down.astype(np.float32))


def face_skin(seen: Portrait) -> Mask:
    """Cheeks, nose and forehead: pixels in the middle of the face that have the hue of skin in any tone."""
    middle = (np.abs(seen.across) < 0.3) & (seen.down > -0.3) & (seen.down < 0.4)
    red, yellow = seen.lab[..., 1], seen.lab[..., 2]
    chroma, hue = np.hypot(red, yellow), np.degrees(np.arctan2(yellow, red))
    skin = middle & (chroma > 6) & (hue > 10) & (hue < 85) & (seen.lab[..., 0] > 10)
    if skin.sum() < max(_LEAST_PIXELS, 0.25 * middle.sum()):
        return np.zeros_like(skin)
    low, high = np.percentile(seen.lab[skin][:, 0], (25, 85))
    return np.asarray(skin & (seen.lab[..., 0] >= low) & (seen.lab[..., 0] <= high), np.bool_)


def like(seen: Portrait, colour: Floats, most: float) -> Mask:
    """Pixels whose CIELAB colour differs by less than `most`."""
    return np.asarray(difference(seen.lab, colour) < most, np.bool_)


def crown(seen: Portrait) -> Mask:
    """The figure above the forehead: hair, or what covers it."""
    return seen.mask & (np.abs(seen.across) < 0.55) & (seen.down < -0.58) & (seen.down > -1.2)


def temples(seen: Portrait, skin: Floats | None) -> Mask:
    """The figure at both sides of the face that is not skin: hair that a cap leaves free."""
    beside = (np.abs(seen.across) > 0.42) & (np.abs(seen.across) < 0.85) & (np.abs(seen.down) < 0.35)
    region = seen.mask & beside
    return region if skin is None else region & ~like(seen, skin, _SKIN_DIFFERENCE)


def beside_neck(seen: Portrait, upper: float, lower: float) -> Mask:
    """Both sides of jaw and neck, between two heights in faces below the face's middle."""
    sides = (np.abs(seen.across) > 0.35) & (np.abs(seen.across) < 1.0)
    return np.asarray(sides & (seen.down > upper) & (seen.down < lower), np.bool_)


def hair_share(seen: Portrait, where: Mask, hair: Floats) -> float:
    """How much of a region is of the figure and has the colour of its hair, 0..1."""
    if not where.any():
        return 0.0
    return float((seen.mask & like(seen, hair, _HAIR_DIFFERENCE))[where].mean())


def clothing(seen: Portrait, skin: Floats | None) -> Mask:
    """The figure from the shoulders down, less bare skin."""
    body = seen.mask & (seen.down > 0.85)
    return body if skin is None else body & ~like(seen, skin, _SKIN_DIFFERENCE)
