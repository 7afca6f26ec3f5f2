"""The arrays that this package works on, and how they are checked and scaled."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.errors import UnusablePicture

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_SIDE_PX = 16
MAX_SIDE_PX = 4096
MOST_ASPECT = 8


def checked(rgb: Bytes) -> Bytes:
    """The same picture, contiguous; raises UnusablePicture unless uint8 (H, W, 3), sides 16 to 4096 px, 8:1 at most."""
    if rgb.dtype != np.uint8:
        raise UnusablePicture("dtype", str(rgb.dtype), "uint8")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise UnusablePicture("shape", str(rgb.shape), "(height, width, 3)")
    if not MIN_SIDE_PX <= min(rgb.shape[:2]) <= max(rgb.shape[:2]) <= MAX_SIDE_PX:
        raise UnusablePicture("size", f"{rgb.shape[1]}×{rgb.shape[0]} px", f"{MIN_SIDE_PX} to {MAX_SIDE_PX} px a side")
    if max(rgb.shape[:2]) > MOST_ASPECT * min(rgb.shape[:2]):
        raise UnusablePicture(
            "size", f"{rgb.shape[1]}×{rgb.shape[0]} px", f"at most {MOST_ASPECT} times as long as wide"
        )
    return np.ascontiguousarray(rgb)


def settle_opencv() -> None:
    """Make OpenCV give the same bytes on every run: one thread, and a random generator with a known state."""
    cv2.setNumThreads(1)
    cv2.setRNGSeed(1)


def fitted(rgb: Bytes, longest_px: int) -> Bytes:
    """The picture scaled down (area average) so that its longer side is at most `longest_px`; never enlarged."""
    height, width = rgb.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return rgb if scale == 1.0 else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def resized(values: Floats, height: int, width: int) -> Floats:
    """A float map bilinearly resampled to `height` × `width`."""
    if values.shape[:2] == (height, width):
        return values
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def lab(rgb: Bytes) -> Floats:
    """CIELAB (D65; L 0..100) of sRGB pixels of any leading shape (..., 3)."""
    pixels = np.ascontiguousarray(rgb, np.float32).reshape(1, -1, 3) / np.float32(255)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.float32).reshape(rgb.shape)


def disk(radius_px: int) -> Bytes:
    """A round structuring element, 2·radius + 1 px wide."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def grown(mask: Mask, radius_px: int) -> Mask:
    """The mask dilated by a disk."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disk(radius_px)), np.bool_)


def shrunk(mask: Mask, radius_px: int) -> Mask:
    """The mask eroded by a disk; beyond the picture's edges it is taken to go on."""
    return ~grown(~mask, radius_px)
