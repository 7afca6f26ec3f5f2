"""From one size to another without distortion: scaled until it covers, cut at the centre. Off the device."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["covering", "fitted", "fitted_mask"]

Pixels = NDArray[np.uint8]
MASK_THRESHOLD = 128
"""From this value on a mask says: draw anew (diffusers' image processor splits at one half)."""


def fitted(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """Return a picture, uint8 (h, w) or (h, w, 3), in another size; the same array where it has that size already.

    Shrinks by area, enlarges by Lanczos. What juts out of the new proportions is cut off evenly on both sides.
    """
    height, width = pixels.shape[:2]
    if (width, height) == (width_px, height_px):
        return pixels
    size, left, top = covering(width, height, width_px, height_px)
    shrinks = size[0] * size[1] < width * height
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
    return np.ascontiguousarray(scaled[top : top + height_px, left : left + width_px]).astype(np.uint8, copy=False)


def covering(width: int, height: int, width_px: int, height_px: int) -> tuple[tuple[int, int], int, int]:
    """Return the size (w, h) that a picture is scaled to so that it covers a frame, and the cut's left and top."""
    scale = max(width_px / width, height_px / height)
    size = (max(width_px, round(width * scale)), max(height_px, round(height * scale)))
    return size, (size[0] - width_px) // 2, (size[1] - height_px) // 2


def fitted_mask(mask: Pixels, width_px: int, height_px: int) -> Pixels:
    """Return a mask, uint8 (h, w), in another size, with nothing between 0 (keep) and 255 (draw anew)."""
    return np.where(fitted(mask, width_px, height_px) >= MASK_THRESHOLD, 255, 0).astype(np.uint8)
