"""The light on a figure: the set's own, a little kinder, so that face and place are one picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.canvas import Pixels, Plane, Rgb, ramp, to_bytes
from previz.drawing.illumination import illuminate
from previz.drawing.light import Light, luma, outdoors, surround
from previz.drawing.rooms import room_of
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS
from previz.spec import FrameSpec

_CARD_HEADS = CARD_BOTTOM_HEADS - CARD_TOP_HEADS
_LEAST_TINT, _MOST_TINT = 0.58, 1.34
"""Bounds of the light's colour on a figure: beyond them skin is no skin."""


@dataclass(frozen=True)
class FigureLight:
    """Light on a card's left and right edge, as factors (3,); where shadows fall, in metres on the ground (x, z)."""

    left: Rgb
    right: Rgb
    shadow: tuple[float, float]
    shadow_strength: float


def figure_light(spec: FrameSpec, light: Light) -> FigureLight:
    """The light of the set where the figures stand."""
    left, right, brightest = _falling(spec, light)
    level = float(np.clip(luma((left + right) / 2), 0.05, 1.4))
    # Faces are what a picture is about: they fall less dark than the set; but in a dark room none shines.
    kindness = 0.34 if spec.location.type == "interior" else 0.26
    wanted = float(np.clip(kindness + 0.72 * level, 0.34, brightest))
    spread = 0.5 + 0.8 * light.contrast
    left, right = (wanted * (1 + spread * (edge / level - 1)) for edge in (left, right))
    if spec.location.type == "interior":
        # Lamps and screens tint faces less than walls: a set is lit with white light where people stand.
        left, right = (0.6 * edge + 0.4 * luma(edge) for edge in (left, right))
        return FigureLight(_natural(left), _natural(right), (0.75, -0.35), 0.34)
    length = min(3.2, 0.9 / max(light.key_height, 0.2))
    shadow = (-light.key_side * length * 0.75, -length * 0.6)
    return FigureLight(_natural(left), _natural(right), shadow, 0.12 + 0.40 * min(1.0, light.sun))


def plate_light(spec: FrameSpec, light: Light) -> Rgb:
    """Factors for a photograph of the place, which shows it by day: the light of its figures, as dark as it is."""
    left, right, _ = _falling(spec, light)
    level = luma((left + right) / 2)
    lamplit = spec.location.type == "interior" and light.is_dark_outside
    return _natural((left + right) / 2 * float(np.clip(level, 0.2, 0.62 if lamplit else 1.05)) / level)


def _falling(spec: FrameSpec, light: Light) -> tuple[Array, Array, float]:
    """What falls on a chest from the left and from the right, and how bright a figure may be there."""
    if spec.location.type == "interior":
        room = room_of(spec.location)
        illumination = illuminate(room, light)
        walls = np.array(room.wall)
        chest = np.array([[0.0, 1.5, -0.2]])
        bounced = 0.72 + 0.28 * walls / luma(walls)
        left, right = (
            illumination.on(chest, np.array([side * 0.62, 0.1, -0.78]))[0].astype(np.float64) for side in (-1, 1)
        )
        if light.is_dark_outside:
            left = left + np.array(light.key) * 0.28 * light.lamps
        return left * bounced, right * bounced, 0.48 + 0.60 * luma(walls) / 255
    around = luma(outdoors(light)) * np.array(light.fill) ** 0.35 * np.array(surround(light)) ** 0.9
    sun = np.array(light.key) * light.sun * 0.52
    near, far = around + sun * 0.95, around + sun * 0.18
    return (near, far, 1.0) if light.key_side < 0 else (far, near, 1.0)


def relit(texture: Pixels, falls: FigureLight, light: Light, air: float, to_card: Array) -> Pixels:
    """Key and fill across the card, light from behind on the edges, and ``air`` (0..1) between."""
    width = texture.shape[1]
    x = (np.arange(width, dtype=np.float64) + 0.5) / width * to_card[0, 0] + to_card[0, 2]
    share = ramp(0.30, 0.70, x)[:, None]
    factors = np.array(falls.left) * (1 - share) + np.array(falls.right) * share
    lit = texture[:, :, :3].astype(np.float32) * factors[None].astype(np.float32)
    if light.rim > 0.05:
        lit += rim(texture[:, :, 3], light, texture.shape[0] / _CARD_HEADS / float(to_card[1, 1]))
    # Highlights roll off as film's do.
    lit = np.tanh(lit * np.float32(0.92 / 255)) * np.float32(255 / 0.80)
    if air > 0.002:
        lit = lit * np.float32(1 - air) + np.array(light.horizon, np.float32) * np.float32(air)
    return np.dstack([to_bytes(lit), texture[:, :, 3]])


def rim(alpha: Pixels, light: Light, px_per_head: float) -> Plane:
    """A bright edge (h, w, 3) where the light behind grazes the outline, stronger on the key's side."""
    factor = 2 if px_per_head > 48 else 1
    small = cv2.resize(alpha, (alpha.shape[1] // factor, alpha.shape[0] // factor), interpolation=cv2.INTER_AREA)
    reach = max(1.0, 0.035 * px_per_head / factor)
    shift = np.array([[1, 0, -np.sign(light.key_side) * reach], [0, 1, reach * 0.5]], np.float64)
    moved = cv2.warpAffine(small, shift, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    edge = cv2.subtract(small, cv2.GaussianBlur(moved, (0, 0), reach * 0.7))
    whole = cv2.resize(edge, (alpha.shape[1], alpha.shape[0]), interpolation=cv2.INTER_LINEAR)
    strength = np.array(light.key, np.float32) ** 2 * np.float32(
        105 * light.rim * min(1.0, 0.35 + light.sun + 0.2 * light.lamps)
    )
    return np.asarray(whole.astype(np.float32)[:, :, None] * (strength / np.float32(255)), np.float32)


def _natural(factors: Array) -> Rgb:
    """The light's colour within what skin bears, its luminance kept."""
    brightness = max(luma(factors), 1e-3)
    tint = np.clip(factors / brightness, _LEAST_TINT, _MOST_TINT)
    r, g, b = tint * (min(brightness, 1.2) / luma(tint))
    return float(r), float(g), float(b)
