"""The plain body that carries every photograph: limbs as tapered strokes with the soft shade of round forms.

Coordinates are heads: x from the figure's middle, y down from the crown (0) to the soles (7.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.canvas import Pixels, Plane, Rgb, mixed, scaled, to_bytes
from previz.drawing.noise import fractal, generator
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, CARD_WIDTH_HEADS

PX_PER_HEAD = 72
WIDTH_PX = round(CARD_WIDTH_HEADS * PX_PER_HEAD)
HEIGHT_PX = round((CARD_BOTTOM_HEADS - CARD_TOP_HEADS) * PX_PER_HEAD)

Stroke = tuple[tuple[float, float, float], ...]
"""Points (x, y, half width) along a limb, from top to bottom."""

_TORSO: Stroke = (
    (0, 1.18, 0.24),
    (0, 1.28, 0.36),
    (0, 1.38, 0.60),
    (0, 1.50, 0.78),
    (0, 1.68, 0.86),
    (0, 2.0, 0.80),
    (0, 2.5, 0.70),
    (0, 2.95, 0.64),
    (0, 3.4, 0.68),
    (0, 3.8, 0.74),
    (0, 4.12, 0.75),
)
_ARM: Stroke = (
    (0.66, 1.62, 0.17),
    (0.80, 1.80, 0.235),
    (0.90, 2.2, 0.225),
    (0.98, 2.7, 0.20),
    (1.0, 3.0, 0.185),
    (1.0, 3.5, 0.165),
    (0.99, 3.98, 0.14),
)
_HAND: Stroke = ((0.985, 3.92, 0.10), (0.98, 4.1, 0.135), (0.96, 4.32, 0.12), (0.94, 4.5, 0.05))
_LEG: Stroke = (
    (0.37, 3.7, 0.36),
    (0.38, 4.2, 0.365),
    (0.38, 4.7, 0.33),
    (0.37, 5.5, 0.265),
    (0.37, 5.8, 0.25),
    (0.38, 6.3, 0.235),
    (0.38, 7.0, 0.19),
    (0.385, 7.28, 0.20),
)
_SHOE: Stroke = ((0.39, 7.2, 0.15), (0.41, 7.34, 0.20), (0.43, 7.46, 0.235), (0.43, 7.5, 0.22))
_NECK: Stroke = ((0, 0.8, 0.22), (0, 1.05, 0.20), (0, 1.25, 0.24), (0, 1.42, 0.34))
_SKULL: Stroke = (
    (0, 0.06, 0.10),
    (0, 0.12, 0.22),
    (0, 0.25, 0.325),
    (0, 0.45, 0.36),
    (0, 0.62, 0.345),
    (0, 0.8, 0.28),
    (0, 0.93, 0.18),
    (0, 1.0, 0.07),
)


@dataclass(frozen=True)
class Dress:
    """A body's colours, and its width at arms and torso against the plain one, left and right."""

    top: Rgb
    legs: Rgb
    skin: Rgb
    hair: Rgb
    left: float = 1.0
    right: float = 1.0


@lru_cache(maxsize=64)
def body(dress: Dress, key_side: float, head: str) -> Pixels:
    """A whole figure on its card, RGBA; ``head`` is ``face``, ``back`` or ``none`` (shoulders to shoes only)."""
    card: Pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 4), np.uint8)
    for mirror in (-1.0, 1.0):
        _form(card, _LEG, scaled(dress.legs, 0.86), key_side, 0.30, mirror=mirror, girth=_hips(dress, mirror))
        _form(card, _SHOE, mixed(scaled(dress.legs, 0.3), (26, 24, 24), 0.7), key_side, 0.2, mirror=mirror)
    if head != "none":
        _form(card, _NECK, scaled(dress.hair if head == "back" else dress.skin, 0.82), key_side, 0.24)
    for mirror in (-1.0, 1.0):
        _form(card, _HAND, scaled(dress.skin, 0.92), key_side, 0.13, mirror=mirror, girth=_girth(dress, mirror))
    _form(card, _TORSO, dress.top, key_side, 0.62, girth=_torso_girth(dress))
    for mirror in (-1.0, 1.0):
        _form(card, _ARM, scaled(dress.top, 0.97), key_side, 0.22, mirror=mirror, girth=_girth(dress, mirror))
    if head != "none":
        _head(card, dress, key_side, head)
    return card


def rows(y_heads: float | Array) -> Any:
    """The card's pixel row at a height."""
    return (y_heads - CARD_TOP_HEADS) * PX_PER_HEAD


def columns(x_heads: float | Array) -> Any:
    """The card's pixel column at a distance from the middle."""
    return (x_heads + CARD_WIDTH_HEADS / 2) * PX_PER_HEAD


def half_width(y_heads: float) -> float:
    """Outer half width of the plain body at a height, in heads."""
    widths = [abs(x) + half for stroke in (_TORSO, _ARM, _LEG) for x, half in [_at(stroke, y_heads)] if half > 0]
    return max(widths, default=0.3)


def _at(stroke: Stroke, y: float) -> tuple[float, float]:
    points = np.array(stroke)
    if not points[0, 1] <= y <= points[-1, 1]:
        return 0.0, 0.0
    return float(np.interp(y, points[:, 1], points[:, 0])), float(np.interp(y, points[:, 1], points[:, 2]))


def _girth(dress: Dress, mirror: float) -> tuple[float, float]:
    side = dress.left if mirror < 0 else dress.right
    return side, side


def _torso_girth(dress: Dress) -> tuple[float, float]:
    return dress.left, dress.right


def _hips(dress: Dress, mirror: float) -> tuple[float, float]:
    side = min(1.25, max(0.8, (dress.left if mirror < 0 else dress.right)))
    return side, side


def _outline(stroke: Stroke, mirror: float, girth: tuple[float, float]) -> Array:
    points = np.array(stroke)
    y = np.linspace(points[0, 1], points[-1, 1], 48)
    x, half = (_smooth(np.interp(y, points[:, 1], points[:, i])) for i in (0, 2))
    left, right = x * mirror - half, x * mirror + half
    above, below = _cap(x[0] * mirror, y[0], half[0], -1.0), _cap(x[-1] * mirror, y[-1], half[-1], 1.0)
    outline = np.concatenate([above, np.stack([right, y], axis=1), below, np.stack([left, y], axis=1)[::-1]])
    outline[:, 0] *= np.where(outline[:, 0] < 0, girth[0], girth[1])
    return outline


def _cap(x: float, y: float, radius: float, way: float) -> Array:
    """The round end of a limb, flat where it is broad; left to right above (-1), right to left below (1)."""
    angles = np.linspace(np.pi, 0, 9) if way < 0 else np.linspace(0, np.pi, 9)
    depth = radius if 0.12 <= radius <= 0.2 else 0.02
    return np.stack([x + radius * np.cos(angles), y + way * depth * np.sin(angles)], axis=1)


def _smooth(values: Array) -> Array:
    padded = np.pad(values, 2, mode="edge")
    smooth: Array = np.convolve(padded, [0.1, 0.24, 0.32, 0.24, 0.1], mode="valid")
    return smooth


def _form(
    card: Pixels,
    stroke: Stroke,
    colour: Rgb,
    key_side: float,
    roundness: float,
    *,
    mirror: float = 1.0,
    girth: tuple[float, float] = (1.0, 1.0),
) -> None:
    outline = _outline(stroke, mirror, girth)
    fill_round(card, outline, colour, key_side, roundness)


def fill_round(card: Pixels, outline: Array, colour: Rgb, key_side: float, roundness: float) -> None:
    """Fill an outline (heads) as a round form lit from ``key_side`` and above; ``roundness`` is its depth in heads."""
    pixels: Array = np.stack([columns(outline[:, 0]), rows(outline[:, 1])], axis=1)
    x0, y0 = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 3, 0)
    x1, y1 = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 4, (WIDTH_PX, HEIGHT_PX))
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [np.round((pixels - (x0, y0) - 0.5) * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    shade = _shading(mask, roundness * PX_PER_HEAD, key_side, (int(x0), int(y0)))
    weight = mask.astype(np.float32)[:, :, None] / 255
    region = card[y0:y1, x0:x1]
    painted = np.array(colour, np.float32) * shade[:, :, None]
    alpha = region[:, :, 3:].astype(np.float32) / 255
    total = weight + alpha * (1 - weight)
    rgb = (painted * weight + region[:, :, :3] * alpha * (1 - weight)) / np.maximum(total, 1e-3)
    region[:, :, :3] = to_bytes(rgb)
    region[:, :, 3:] = to_bytes(total * 255)


@lru_cache(maxsize=1)
def _folds() -> Plane:
    grain = fractal(generator("cloth"), 1024, 512, 6, 5)[:HEIGHT_PX, :WIDTH_PX]
    return np.asarray(cv2.GaussianBlur(grain, (0, 0), 3.0), np.float32)


def _shading(mask: Pixels, depth_px: float, key_side: float, corner: tuple[int, int]) -> Plane:
    """Lambert over a height field that bulges between the sides of the outline, with a hint of folds."""
    reach = int(depth_px) + 2
    longer = np.pad(np.pad(mask[4:-5], ((reach, reach), (0, 0)), mode="edge"), 1)
    distance = cv2.distanceTransform(longer, cv2.DIST_L2, 5)[1 + reach - 4 : reach - 4 + 1 + mask.shape[0], 1:-1]
    inward = 1 - np.clip(distance / depth_px, 0, 1)
    height = np.sqrt(np.clip(1 - inward**2, 0, 1)) * depth_px
    folds = _folds()[corner[1] : corner[1] + mask.shape[0], corner[0] : corner[0] + mask.shape[1]]
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 2.0) + folds * np.float32(9)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
    light = np.array([0.55 * key_side, -0.45, 0.70])
    light /= np.linalg.norm(light)
    normal_z = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lambert = (-slope_x * light[0] - slope_y * light[1] + light[2]) * normal_z
    return np.asarray(0.42 + 0.72 * np.clip(lambert, 0, 1), np.float32)


def _head(card: Pixels, dress: Dress, key_side: float, kind: str) -> None:
    hair = _outline(_SKULL, 1.0, (1.0, 1.0)) * (1.12, 1.0) + (0, -0.035)
    if kind == "back":
        fill_round(card, hair * (1.02, 0.99), dress.hair, key_side, 0.36)
        return
    fill_round(card, hair * (1.0, 0.86), scaled(dress.hair, 0.9), key_side, 0.3)
    fill_round(card, _outline(_SKULL, 1.0, (1.0, 1.0)), dress.skin, key_side, 0.34)
    angles = np.linspace(np.pi, 2 * np.pi, 24)
    fringe = np.concatenate(
        [
            np.stack([0.39 * np.cos(angles), 0.34 + 0.36 * np.sin(angles)], axis=1),
            np.array([(0.37, 0.55), (0.31, 0.36), (0.12, 0.24), (-0.16, 0.23), (-0.31, 0.36), (-0.37, 0.55)]),
        ]
    )
    fill_round(card, fringe, dress.hair, key_side, 0.2)
    dark = scaled(dress.skin, 0.62)
    for x in (-0.15, 0.15):
        _feature(card, (x, 0.475), (0.085, 0.030), dark)
        _feature(card, (x, 0.40), (0.10, 0.014), scaled(dress.hair, 0.8))
    _feature(card, (0.02 * -key_side, 0.635), (0.055, 0.022), scaled(dress.skin, 0.76))
    _feature(card, (0.0, 0.775), (0.11, 0.018), mixed(dark, (150, 70, 66), 0.35))


def _feature(card: Pixels, centre: tuple[float, float], radii: tuple[float, float], colour: Rgb) -> None:
    x, y = (round(v * 16) for v in (columns(centre[0]), rows(centre[1])))
    axes = (round(radii[0] * PX_PER_HEAD * 16), round(radii[1] * PX_PER_HEAD * 16))
    cv2.ellipse(card, (x, y), axes, 0, 0, 360, (*[int(c) for c in colour], 255), -1, cv2.LINE_AA, 4)
