"""Pictures that requests bring along, as PNG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode grey (h, w) or BGR (h, w, 3)."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def gradient(width: int = 256, height: int = 256) -> bytes:
    """Return a colour that changes from left to right and from top to bottom."""
    rows, columns = np.mgrid[0:height, 0:width]
    return png(np.dstack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 90)]).astype(np.uint8))


def noise(seed: int, side: int = 64) -> bytes:
    """Return a picture that no other seed gives."""
    return png(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def half(*, left: bool, width: int = 256, height: int = 256) -> bytes:
    """Return a mask that is white on one side."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return png(mask if left else 255 - mask)
