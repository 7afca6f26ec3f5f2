"""The near figure of an over-the-shoulder shot: head and shoulders from behind, dark, soft, edged with light."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from previz.drawing.body import HEIGHT_PX, PX_PER_HEAD, WIDTH_PX, round_shade, rows
from previz.drawing.canvas import Pixels, Plane, ramp, soften, to_bytes
from previz.drawing.cutout import Cutout
from previz.drawing.figure_light import FigureLight, rim
from previz.drawing.light import Light
from previz.spec import Colour

_SOFT_HEADS = 0.09
_DARK = 0.90
_RIM = 0.8
"""Light from behind that the near figure gets at least: it stands against the scene's light."""
_EDGE_SHARE = 0.16


@lru_cache(maxsize=16)
def from_behind(layers: Cutout, hair: Colour, falls: FigureLight, light: Light) -> Pixels:
    """The figure's card (RGBA) seen from its back: its own outline, hair or hat instead of a face."""
    card = layers.body.astype(np.float32)
    if layers.photograph is not None:
        card = _turned(card, layers, layers.photograph, hair)
    alpha = to_bytes(card[:, :, 3])
    shade, sheen = round_shade(alpha, 0.42, -np.sign(light.key_side) or 1.0)
    colour = (card[:, :, :3] * np.float32(0.80) + 20) * shade[:, :, None] + sheen[:, :, None]
    share = np.linspace(0, 1, WIDTH_PX, dtype=np.float32)[None, :, None]
    factors = (np.array(falls.left, np.float32) * (1 - share) + np.array(falls.right, np.float32) * share) * _DARK
    edge = rim(alpha, replace(light, rim=_RIM + 0.5 * light.rim, key_side=-light.key_side), 2.6 * PX_PER_HEAD)
    lit = colour * factors + edge
    weighted = np.dstack([lit * (card[:, :, 3:] / 255), card[:, :, 3]])
    blurred = soften(weighted, _SOFT_HEADS * PX_PER_HEAD)
    return np.dstack([to_bytes(blurred[:, :, :3] / np.maximum(blurred[:, :, 3:], 1) * 255), to_bytes(blurred[:, :, 3])])


def _turned(card: Plane, layers: Cutout, source: Pixels, hair: Colour) -> Plane:
    """The photograph's outline over the body, filled with clothing, and with hair or hat where the head is."""
    to_pixels = np.diag([WIDTH_PX, HEIGHT_PX, 1.0]) @ layers.to_card
    to_unit = np.diag([1 / source.shape[1], 1 / source.shape[0], 1.0])
    placed = cv2.warpPerspective(source, to_pixels @ to_unit, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_AREA)
    alpha = placed[:, :, 3:].astype(np.float32) / 255
    chest = card[round(rows(2.6)) : round(rows(3.6)), WIDTH_PX // 3 : 2 * WIDTH_PX // 3, :3]
    cloth = np.median(chest.reshape(-1, 3), axis=0).astype(np.float32)
    y = np.arange(HEIGHT_PX, dtype=np.float32)[:, None]
    below_eyes, below_neck = ramp(rows(0.42), rows(0.6), y), ramp(rows(0.98), rows(1.10), y)
    head = (
        _edge_colours(np.asarray(placed, np.uint8)) * (1 - below_eyes)
        + np.array(hair, np.float32) * np.float32(0.8) * below_eyes
    )
    filled = (head * (1 - below_neck) + cloth * below_neck)[:, None, :]
    below = card[:, :, 3:] / 255
    total = alpha + below * (1 - alpha)
    colour = (filled * alpha + card[:, :, :3] * below * (1 - alpha)) / np.maximum(total, 1e-3)
    return np.asarray(np.concatenate([colour, total * 255], axis=2), np.float32)


def _edge_colours(placed: Pixels) -> Plane:
    """The mean colour of a head's outer parts in each row: hair or hat, seldom face. (card height, 3)."""
    solid = placed[:, :, 3] > 200
    counts = solid.sum(axis=1, keepdims=True)
    rank = np.cumsum(solid, axis=1)
    outer = solid & ((rank <= _EDGE_SHARE * counts) | (rank > (1 - _EDGE_SHARE) * counts))
    total = (placed[:, :, :3] * outer[:, :, None]).sum(axis=1).astype(np.float32)
    means = total / np.maximum(outer.sum(axis=1), 1)[:, None]
    return np.asarray(cv2.GaussianBlur(means, (0, 0), sigmaX=0.1, sigmaY=0.04 * PX_PER_HEAD), np.float32)
