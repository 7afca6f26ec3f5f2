"""What can be seen of a person, and nothing more: no age, no origin, no character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portrait.colours import Swatch, difference, hair_name, hex_of, main_colours, skin_name
from portrait.faces import Face
from portrait.light import Light, light_of
from portrait.pictures import Bytes, Floats, Mask, checked, lab
from portrait.readings import UNKNOWN, Reading
from portrait.regions import (
    Portrait,
    beside_neck,
    clothing,
    crown,
    face_skin,
    hair_share,
    portrait,
    temples,
)

_LEAST_PIXELS = 30
_COVERED_DIFFERENCE = 22.0
_MIXED_SPREAD = 18.0
_LEAST_CLOTHING_SHARE = 0.02
_FRAMINGS = ((0.5, "head"), (1.8, "head-and-shoulders"), (4.3, "half-length"), (6.5, "three-quarter"))


@dataclass(frozen=True)
class FaceBox:
    """The face as fractions of the picture's width and height."""

    x: float
    y: float
    width: float
    height: float
    confidence: float
    facing: float | None


@dataclass(frozen=True)
class Colour:
    """A named colour; name and hex are `unknown` and empty where nothing can be seen."""

    name: str
    hex: str
    confidence: float


@dataclass(frozen=True)
class Hair:
    """Hair's colour and length; `covered` when something is worn over it."""

    colour: Colour
    length: Reading
    covered: bool


@dataclass(frozen=True)
class Appearance:
    """Everything that is seen of the subject and its photograph."""

    face: FaceBox | None
    people: int
    people_confidence: float
    skin: Colour
    hair: Hair
    clothing: tuple[Swatch, ...]
    clothing_confidence: float
    framing: Reading
    light: Light


UNSEEN = Colour("unknown", "", 0.0)


def describe(rgb: Bytes, faces: Sequence[Face], mask: Mask) -> Appearance:
    """Describe the first of `faces` (the subject) in an upright RGB uint8 picture; `mask` (H, W) is the figure's.

    Without a face, clothing colours are those of the whole figure and what only a face shows is `unknown`.
    """
    picture = checked(rgb)
    if not faces:
        return _faceless(picture, mask)
    face = faces[0]
    seen = portrait(picture, face, mask)
    skin_pixels = face_skin(seen)
    skin = _middle(seen, skin_pixels)
    clothes = clothing(seen, skin)
    return Appearance(
        face=_box(face, picture),
        people=len(faces),
        people_confidence=round(min(0.9, *(one.confidence for one in faces)), 2),
        skin=_skin(seen, skin_pixels, face),
        hair=_hair(seen, skin),
        clothing=_clothing(seen.colours(clothes)),
        clothing_confidence=_enough(clothes, mask),
        framing=_framing(face, mask),
        light=light_of(seen, seen.lab),
    )


def _faceless(rgb: Bytes, mask: Mask) -> Appearance:
    return Appearance(
        face=None,
        people=0,
        people_confidence=0.3,
        skin=UNSEEN,
        hair=Hair(UNSEEN, UNKNOWN, covered=False),
        clothing=_clothing(rgb[mask]),
        clothing_confidence=0.3 if mask.any() else 0.0,
        framing=UNKNOWN,
        light=light_of(None, lab(rgb)),
    )


def _box(face: Face, rgb: Bytes) -> FaceBox:
    height, width = rgb.shape[:2]
    sides = (face.x / width, face.y / height, face.width / width, face.height / height)
    x, y, wide, high = (round(side, 4) for side in sides)
    return FaceBox(x, y, wide, high, face.confidence, face.facing)


def _middle(seen: Portrait, where: Mask) -> Floats | None:
    """The median CIELAB colour of a region, None when it is too small to tell."""
    if where.sum() < _LEAST_PIXELS:
        return None
    return np.median(seen.lab[where], axis=0).astype(np.float32)


def _median_rgb(seen: Portrait, where: Mask) -> Bytes:
    return np.asarray(np.median(seen.colours(where), axis=0), np.uint8)


def _skin(seen: Portrait, where: Mask, face: Face) -> Colour:
    if where.sum() < _LEAST_PIXELS:
        return UNSEEN
    colour = _median_rgb(seen, where)
    return Colour(skin_name(colour), hex_of(colour), round(0.65 * face.confidence, 2))


def _hair(seen: Portrait, skin: Floats | None) -> Hair:
    """The crown's colour. Where the temples differ from it, or it has several colours, something covers the hair."""
    top, sides = crown(seen), temples(seen, skin)
    top_colour, side_colour = _middle(seen, top), _middle(seen, sides)
    if top_colour is None or skin is None:
        return Hair(UNSEEN, UNKNOWN, covered=False)
    spread = float(np.median(difference(seen.lab[top], top_colour)))
    apart = 0.0 if side_colour is None else float(difference(top_colour, side_colour))
    if spread > _MIXED_SPREAD or apart > _COVERED_DIFFERENCE:
        return Hair(UNSEEN, UNKNOWN, covered=True)
    agreement = 1 - apart / _COVERED_DIFFERENCE if side_colour is not None else 0.3
    colour = _hair_colour(seen, top, 0.45 + 0.4 * agreement)
    return Hair(colour, _length(seen, top_colour), covered=False)


def _hair_colour(seen: Portrait, where: Mask, confidence: float) -> Colour:
    if where.sum() < _LEAST_PIXELS:
        return UNSEEN
    colour = _median_rgb(seen, where)
    return Colour(hair_name(colour), hex_of(colour), round(confidence, 2))


def _length(seen: Portrait, hair: Floats) -> Reading:
    """By how far down hair's colour goes on beside the neck."""
    if hair_share(seen, beside_neck(seen, 0.9, 1.3), hair) > 0.25:
        return Reading("long", 0.5)
    if hair_share(seen, beside_neck(seen, 0.45, 0.8), hair) > 0.25:
        return Reading("medium", 0.5)
    return Reading("short", 0.6)


def _clothing(pixels: Bytes) -> tuple[Swatch, ...]:
    return tuple(swatch for swatch in main_colours(pixels) if swatch.share >= _LEAST_CLOTHING_SHARE)


def _enough(clothes: Mask, mask: Mask) -> float:
    """Surer the more of the figure is clothing."""
    return round(min(0.9, 1.5 * float(clothes.sum()) / max(1, int(mask.sum()))), 2)


def _framing(face: Face, mask: Mask) -> Reading:
    """By how many faces of the figure are seen below the face."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return UNKNOWN
    below = (float(rows[-1] + 1) - face.chin) / face.height
    value = next((name for most, name in _FRAMINGS if below < most), "full-length")
    nearest = min(abs(below - most) / most for most, _ in _FRAMINGS)
    return Reading(value, round(0.5 + 0.4 * min(1.0, nearest / 0.3), 2))
