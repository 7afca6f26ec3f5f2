"""The plain body that carries every photograph, painted: soft round forms, tailored clothes, relaxed hands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from previz.camera import Array
from previz.drawing import anatomy
from previz.drawing.anatomy import Stroke, outline
from previz.drawing.canvas import Pixels, Plane, Rgb, mixed, ramp, scaled, to_bytes
from previz.drawing.noise import fractal, generator
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, CARD_WIDTH_HEADS

PX_PER_HEAD = 80
WIDTH_PX = round(CARD_WIDTH_HEADS * PX_PER_HEAD)
HEIGHT_PX = round((CARD_BOTTOM_HEADS - CARD_TOP_HEADS) * PX_PER_HEAD)
_SHEEN = 30.0
"""What smooth cloth throws back of the key whatever its colour, in 8-bit levels: it keeps black clothes readable."""


@dataclass(frozen=True)
class Dress:
    """A body's colours, and which of its arms are drawn."""

    top: Rgb
    legs: Rgb
    skin: Rgb
    hair: Rgb
    left_arm: bool = True
    right_arm: bool = True


@lru_cache(maxsize=64)
def body(dress: Dress, key_side: float, head: str) -> Pixels:
    """A whole figure on its card, RGBA; ``head`` is ``face``, ``back`` or ``none`` (shoulders to shoes only)."""
    card: Pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 4), np.uint8)
    shoes = mixed(scaled(dress.legs, 0.35), (30, 26, 24), 0.6)
    for leg, shoe in ((anatomy.FREE_LEG, anatomy.FREE_SHOE), (anatomy.WEIGHT_LEG, anatomy.WEIGHT_SHOE)):
        fill_round(card, outline(shoe), shoes, key_side, 0.16, folds=0.0)
        fill_round(card, outline(leg), scaled(dress.legs, 0.94), key_side, 0.34)
        _crease(card, leg, dress.legs, key_side)
    _shade_band(card, anatomy.HEM_HEADS, 0.55, 0.62)
    if head != "none":
        fill_round(
            card, outline(anatomy.NECK), scaled(dress.hair if head == "back" else dress.skin, 0.82), key_side, 0.24
        )
    fill_round(card, outline(anatomy.TORSO), dress.top, key_side, 0.60)
    if head == "face":
        _collar(card, dress.top)
    if head != "back":
        _front(card, dress.top)
    for drawn, side, arm in ((dress.left_arm, -1.0, anatomy.LEFT_ARM), (dress.right_arm, 1.0, anatomy.RIGHT_ARM)):
        if drawn:
            _shade_beside(card, arm, side)
            _hand(card, arm[-1], side, dress.skin, key_side)
            fill_round(card, outline(arm), scaled(dress.top, 0.98), key_side, 0.22)
    if head != "none":
        _head(card, dress, key_side, head)
    return card


def rows(y_heads: float | Array) -> Any:
    """The card's pixel row at a height."""
    return (y_heads - CARD_TOP_HEADS) * PX_PER_HEAD


def columns(x_heads: float | Array) -> Any:
    """The card's pixel column at a distance from the middle."""
    return (x_heads + CARD_WIDTH_HEADS / 2) * PX_PER_HEAD


def fill_round(
    card: Pixels, contour: Array, colour: Rgb, key_side: float, roundness: float, *, folds: float = 1.0
) -> None:
    """Fill a contour (heads) as a round form lit from ``key_side`` and above; ``roundness`` is its depth in heads."""
    pixels: Array = np.stack([columns(contour[:, 0]), rows(contour[:, 1])], axis=1)
    x0, y0 = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 3, 0)
    x1, y1 = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 4, (WIDTH_PX, HEIGHT_PX))
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [np.round((pixels - (x0, y0) - 0.5) * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    drape = _folds()[y0:y1, x0:x1] * np.float32(folds)
    shade, sheen = _shading(mask, roundness * PX_PER_HEAD, key_side, drape)
    painted = np.array(colour, np.float32) * shade[:, :, None]
    painted += sheen[:, :, None] * np.float32((1 - min(max(colour), 255.0) / 255) ** 1.5)
    lay(card[y0:y1, x0:x1], painted, mask.astype(np.float32) / np.float32(255))


def round_shade(alpha: Pixels, roundness: float, key_side: float) -> tuple[Plane, Plane]:
    """Factor and sheen over a whole card whose outline is ``alpha``, as of one round form."""
    return _shading(alpha, roundness * PX_PER_HEAD, key_side, _folds() * np.float32(0.2))


def lay(region: Pixels, colour: npt.NDArray[np.floating[Any]], weight: Plane) -> None:
    """Paint ``colour`` (h, w, 3) with ``weight`` (h, w) over a straight-alpha RGBA region, in place."""
    over = weight[:, :, None]
    below = region[:, :, 3:].astype(np.float32) * (1 - over) / np.float32(255)
    total = over + below
    region[:, :, :3] = to_bytes((colour * over + region[:, :, :3] * below) / np.maximum(total, np.float32(1e-3)))
    region[:, :, 3:] = to_bytes(total * 255)


@lru_cache(maxsize=1)
def _folds() -> Plane:
    """Heights of cloth that hangs: long folds, drawn out downwards and a little aslant."""
    grain = fractal(generator("cloth"), 256, 512, 10, 4)
    hanging = cv2.resize(grain, (512, 1024), interpolation=cv2.INTER_CUBIC)
    slant = np.array([[1.0, 0.14, -60.0], [0.0, 1.0, 0.0]])
    hanging = cv2.warpAffine(hanging, slant, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_WRAP)
    return np.asarray(cv2.GaussianBlur(hanging, (0, 0), 2.4), np.float32)


def _shading(mask: Pixels, depth_px: float, key_side: float, drape: Plane) -> tuple[Plane, Plane]:
    """Factor and sheen of a form that bulges between the sides of its outline: Lambert over a height field."""
    reach = int(depth_px) + 2
    longer = np.pad(np.pad(mask[4:-5], ((reach, reach), (0, 0)), mode="edge"), 1)
    distance = cv2.distanceTransform(longer, cv2.DIST_L2, 5)[1 + reach - 4 : reach - 4 + 1 + mask.shape[0], 1:-1]
    inward = 1 - np.clip(distance / depth_px, 0, 1)
    height = np.sqrt(np.clip(1 - inward**2, 0, 1)) * depth_px
    height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 2.4) + drape * np.float32(13)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
    light = np.array([0.58 * key_side, -0.42, 0.70], np.float32)
    light /= np.linalg.norm(light)
    normal_z = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lambert = np.clip((-slope_x * light[0] - slope_y * light[1] + light[2]) * normal_z, 0, 1)
    shade = np.float32(0.40) + np.float32(0.76) * lambert
    return np.asarray(shade, np.float32), np.asarray(lambert**3 * np.float32(_SHEEN), np.float32)


def _crease(card: Pixels, leg: Stroke, colour: Rgb, key_side: float) -> None:
    """The pressed edge down the front of a trouser leg: light on one side, shade on the other."""
    points = np.array(leg)[2:]
    for offset, level, strength in ((0.0, 1.30, 0.34), (-0.035 * key_side, 0.55, 0.26)):
        line = np.stack([columns(points[:, 0] + offset), rows(points[:, 1])], axis=1)
        mask = np.zeros(card.shape[:2], np.uint8)
        cv2.polylines(mask, [np.round(line * 16).astype(np.int32)], False, (255,), 2, cv2.LINE_AA, 4)
        _stain(card, mask, scaled(colour, level), strength)


def _collar(card: Pixels, colour: Rgb) -> None:
    """A shirt in the neck of the jacket, between its lapels."""
    for contour, tone, strength in (
        ([(-0.36, 1.18), (0.0, 1.16), (0.36, 1.18), (0.05, 2.0)], scaled(colour, 0.55), 0.9),
        ([(-0.25, 1.16), (0.0, 1.15), (0.25, 1.16), (0.03, 1.78)], (226.0, 224.0, 218.0), 0.92),
        ([(-0.13, 1.12), (0.0, 1.11), (0.13, 1.12), (0.01, 1.36)], scaled(colour, 0.35), 0.5),
    ):
        points = np.array(contour)
        pixels = np.stack([columns(points[:, 0]), rows(points[:, 1])], axis=1)
        mask = np.zeros(card.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(pixels * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
        _stain(card, mask, tone, strength)


def _front(card: Pixels, colour: Rgb) -> None:
    """The closing edge of the jacket and its two pockets, as a tailor would sketch them."""
    mask = np.zeros(card.shape[:2], np.uint8)
    edge = np.array([(0.03, 1.8), (0.05, 2.6), (0.08, 3.5), (0.13, anatomy.HEM_HEADS)])
    lines = [edge, np.array([(-0.56, 3.42), (-0.22, 3.46)]), np.array([(0.32, 3.46), (0.66, 3.42)])]
    for line in lines:
        pixels = np.stack([columns(line[:, 0]), rows(line[:, 1])], axis=1)
        cv2.polylines(mask, [np.round(pixels * 16).astype(np.int32)], False, (255,), 2, cv2.LINE_AA, 4)
    _stain(card, mask, scaled(colour, 0.40), 0.55)


def _stain(card: Pixels, mask: Pixels, colour: Rgb, strength: float, softness_px: float = 1.1) -> None:
    """Colour what is painted already, where a mask says so; alpha stays."""
    x, y, width, height = cv2.boundingRect(mask)
    margin = round(3 * softness_px)
    box = (slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin))
    weight = cv2.GaussianBlur(mask[box], (0, 0), softness_px).astype(np.float32)[:, :, None] * np.float32(
        strength / 255
    )
    region = card[box]
    region[:, :, :3] = to_bytes(region[:, :, :3] * (1 - weight) + np.array(colour, np.float32) * weight)


def _shade_band(card: Pixels, top: float, reach: float, darkest: float) -> None:
    """The shade that the jacket's hem throws on what is under it."""
    region = card[: round(rows(top + reach))]
    y = np.arange(region.shape[0], dtype=np.float32)
    shade = np.float32(darkest) + np.float32(1 - darkest) * ramp(rows(top), rows(top + reach), y)
    region[:, :, :3] = to_bytes(region[:, :, :3] * shade[:, None, None])


def _shade_beside(card: Pixels, arm: Stroke, side: float) -> None:
    """The shade of an arm on the body next to it."""
    points = np.array(arm)
    inner = np.stack([columns(points[:, 0] - side * 0.05), rows(points[:, 1])], axis=1)
    mask = np.zeros(card.shape[:2], np.uint8)
    cv2.polylines(
        mask, [np.round(inner * 16).astype(np.int32)], False, (255,), round(0.5 * PX_PER_HEAD), cv2.LINE_AA, 4
    )
    _stain(card, mask, (0.0, 0.0, 0.0), 0.42, 0.09 * PX_PER_HEAD)


def _hand(card: Pixels, wrist: tuple[float, float, float], side: float, skin: Rgb, key_side: float) -> None:
    def placed(stroke: Stroke) -> Array:
        return outline(stroke) * (side, 1.0) + (wrist[0], wrist[1])

    tone = scaled(skin, 0.86)
    fill_round(card, placed(anatomy.PALM), tone, key_side, 0.10, folds=0.0)
    for finger in anatomy.FINGERS:
        fill_round(card, placed(finger), tone, key_side, 0.04, folds=0.0)
    fill_round(card, placed(anatomy.THUMB), scaled(tone, 1.05), key_side, 0.05, folds=0.0)


def _head(card: Pixels, dress: Dress, key_side: float, kind: str) -> None:
    skull = outline(anatomy.SKULL)
    hair = skull * (1.12, 1.0) + (0, -0.035)
    if kind == "back":
        fill_round(card, hair * (1.02, 0.99), dress.hair, key_side, 0.36)
        return
    fill_round(card, hair * (1.0, 0.86), scaled(dress.hair, 0.9), key_side, 0.3)
    fill_round(card, skull, dress.skin, key_side, 0.34, folds=0.2)
    angles = np.linspace(np.pi, 2 * np.pi, 24)
    fringe = np.concatenate(
        [
            np.stack([0.39 * np.cos(angles), 0.34 + 0.36 * np.sin(angles)], axis=1),
            np.array([(0.37, 0.55), (0.31, 0.36), (0.12, 0.24), (-0.16, 0.23), (-0.31, 0.36), (-0.37, 0.55)]),
        ]
    )
    fill_round(card, fringe, dress.hair, key_side, 0.2)
    shade = scaled(dress.skin, 0.45)
    for x in (-0.15, 0.15):
        _feature(card, (x, 0.475), (0.095, 0.035), shade, 0.75)
        _feature(card, (x, 0.405), (0.11, 0.014), scaled(dress.hair, 0.8), 0.6)
    _feature(card, (-0.05 * key_side, 0.60), (0.022, 0.085), shade, 0.45)
    _feature(card, (0.0, 0.785), (0.105, 0.018), mixed(shade, (150, 60, 56), 0.4), 0.75)


def _feature(
    card: Pixels, centre: tuple[float, float], radii: tuple[float, float], colour: Rgb, strength: float
) -> None:
    """A soft touch of the brush on a face; nobody in particular."""
    x, y = (round(v * 16) for v in (columns(centre[0]), rows(centre[1])))
    axes = (round(radii[0] * PX_PER_HEAD * 16), round(radii[1] * PX_PER_HEAD * 16))
    mask = np.zeros(card.shape[:2], np.uint8)
    cv2.ellipse(mask, (x, y), axes, 0, 0, 360, (255,), -1, cv2.LINE_AA, 4)
    _stain(card, mask, colour, strength, 1.4)
