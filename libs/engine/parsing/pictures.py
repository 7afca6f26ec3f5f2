"""Encoded pictures made arrays: bounded before anything is decoded, 8 bits, RGB or grey."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import Refused
from engine.parsing.headers import FORMATS, header

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MAX_SIDE_PX", "Pixels", "decoded", "decoded_mask", "within"]

Pixels = NDArray[np.uint8]
MAX_BYTES = 32 * 1024 * 1024
MAX_SIDE_PX = 8192
MAX_PIXELS = 16_000_000
MIN_SIDE_PX = 8
_BACKGROUND = 127.0
"""What shows through a transparent picture: mid grey, which says least to an encoder whose mean is about there."""


def decoded(name: str, encoded: bytes) -> Pixels:
    """Return an encoded picture as RGB, uint8, shape (h, w, 3), turned as a photograph asks to be shown.

    Transparent parts show mid grey. Raises ``Refused``, which calls it by ``name``.
    """
    pixels = _decoded(name, encoded)
    if pixels.ndim == 2:
        return _as_pixels(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 3:
        return _as_pixels(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
    opacity = rgba[..., 3:].astype(np.float32) / 255
    return _as_pixels(np.rint(rgba[..., :3] * opacity + _BACKGROUND * (1 - opacity)))


def decoded_mask(name: str, encoded: bytes) -> Pixels:
    """Return an encoded picture's brightness, uint8, shape (h, w); where it is transparent the mask is 0.

    Raises ``Refused``, which calls it by ``name``.
    """
    pixels = _decoded(name, encoded)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 3:
        return _as_pixels(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY)
    return _as_pixels(np.rint(grey * (pixels[..., 3] / np.float32(255))))


def within(pixels: Pixels, side_px: int) -> Pixels:
    """Shrink a picture to this many pixels on its longer side, by area; a smaller one stays as it is."""
    height, width = pixels.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _as_pixels(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _decoded(name: str, encoded: bytes) -> Pixels:
    """Decode to 8 bits with the channels that the file has: grey (h, w), BGR or BGRA."""
    if len(encoded) > MAX_BYTES:
        raise Refused(name, f"{len(encoded)} bytes", f"at most {MAX_BYTES} bytes")
    width, height, kind, body = header(name, encoded)
    _check_size(name, width, height)
    # OpenCV turns a photograph upright unless it is asked for the file's own channels, and a JPEG has no alpha.
    flag = cv2.IMREAD_COLOR if kind == "JPEG" else cv2.IMREAD_UNCHANGED
    try:
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), flag)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise Refused(name, f"a damaged {kind}", f"must be whole: {FORMATS}")
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / np.float32(257)).astype(np.uint8)
    return _as_pixels(pixels)


def _check_size(name: str, width: int, height: int) -> None:
    if not (min(width, height) >= MIN_SIDE_PX and max(width, height) <= MAX_SIDE_PX):
        raise Refused(name, f"a picture of {width}×{height}", f"sides from {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")
    if width * height > MAX_PIXELS:
        raise Refused(name, f"a picture of {width}×{height}", f"at most {MAX_PIXELS} pixels")


def _as_pixels(array: Any) -> Pixels:
    return np.ascontiguousarray(array, dtype=np.uint8)
