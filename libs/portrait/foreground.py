"""Foreground colours under a soft edge, so that no halo of the old background is carried along.

The idea of Germer et al. 2020 (fast multi-level foreground estimation): at every level of a pyramid, from one pixel up,
each pixel's two colours explain its own (I = αF + (1-α)B) while they stay near their neighbours' colours.
"""

from __future__ import annotations

import cv2
import numpy as np

from portrait.pictures import Bytes, Floats, resized

_WORK_PX = 1024
_NEIGHBOUR_WEIGHT = 0.05
_SMALL_LEVEL_PX = 32
_ROUNDS_SMALL, _ROUNDS_LARGE = 10, 2


def foreground_colours(rgb: Bytes, alpha: Floats) -> Bytes:
    """The figure's own colours (H, W, 3) uint8; the picture's where alpha is 1, carried outwards where it is 0."""
    height, width = alpha.shape
    picture = rgb.astype(np.float32) / np.float32(255)
    scale = min(1.0, _WORK_PX / max(height, width))
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    front, back = _two_colours(_shrunk(picture, *small), _shrunk(alpha, *small))
    front, back = resized(front, height, width), resized(back, height, width)
    if scale < 1:
        front, _ = _explained(picture, alpha, front, back)
    front[alpha >= 1] = picture[alpha >= 1]
    return np.asarray(np.rint(np.clip(front, 0, 1) * 255), np.uint8)


def _two_colours(picture: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Foreground and background colours of a picture in 0..1, from coarse to fine."""
    height, width = alpha.shape
    front = back = np.zeros((1, 1, 3), np.float32) + picture.mean(axis=(0, 1))
    for level_height, level_width in _levels(height, width):
        level, matte = _shrunk(picture, level_height, level_width), _shrunk(alpha, level_height, level_width)
        front, back = resized(front, level_height, level_width), resized(back, level_height, level_width)
        rounds = _ROUNDS_SMALL if max(level_height, level_width) <= _SMALL_LEVEL_PX else _ROUNDS_LARGE
        for _ in range(rounds):
            front, back = _explained(level, matte, _neighbours(front, matte), _neighbours(back, 1 - matte))
    return front, back


def _levels(height: int, width: int) -> list[tuple[int, int]]:
    count = int(np.ceil(np.log2(max(height, width))))
    return [(max(1, height >> shift), max(1, width >> shift)) for shift in range(count, -1, -1)]


def _shrunk(values: Floats, height: int, width: int) -> Floats:
    if values.shape[:2] == (height, width):
        return values
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _neighbours(colours: Floats, share: Floats) -> Floats:
    """Mean of the 3×3 neighbours, those counting most that hold most of this layer."""
    weight = share + np.float32(1e-3)
    total = cv2.blur(colours * weight[..., np.newaxis], (3, 3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(total / cv2.blur(weight, (3, 3), borderType=cv2.BORDER_REPLICATE)[..., np.newaxis], np.float32)


def _explained(picture: Floats, alpha: Floats, front: Floats, back: Floats) -> tuple[Floats, Floats]:
    """The two colours nearest to the given ones (by `_NEIGHBOUR_WEIGHT`) that explain the picture (least squares)."""
    share, rest = alpha[..., np.newaxis], 1 - alpha[..., np.newaxis]
    error = (picture - share * front - rest * back) / (share**2 + rest**2 + np.float32(_NEIGHBOUR_WEIGHT))
    return np.clip(front + share * error, 0, 1), np.clip(back + rest * error, 0, 1)
