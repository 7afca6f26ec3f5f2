"""What a style does to the drawing itself, after the grade: paint, ink, blocks, paper."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, Plane, as_pixels, ramp, soften, to_bytes
from previz.drawing.noise import fractal, generator

Stylist = Callable[[Pixels, int], Pixels]


def stylise(picture: Pixels, style: str, seed: int, *, is_interior: bool) -> Pixels:
    """The picture in the hand of a style; styles without one of their own are left as graded."""
    if style == "noir" and not is_interior:
        return picture  # no window, no blind
    stylist = _STYLISTS.get(style)
    return stylist(picture, seed) if stylist else picture


def _flattened(picture: Pixels, levels: int, reach: float) -> Pixels:
    """Areas of even colour with kept edges, computed at half the resolution."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    for _ in range(2):
        small = cv2.bilateralFilter(small, 5, reach, 4)
    if levels:
        step = 256 / levels
        t = np.arange(256) / step
        table = to_bytes((np.floor(t) + ramp(0.32, 0.68, t - np.floor(t))) * step)
        # Steps of brightness only: stepping each channel would turn greys into rainbows.
        parts = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
        parts[:, :, 0] = cv2.LUT(np.ascontiguousarray(parts[:, :, 0]), table)
        small = cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)
    return as_pixels(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def _ink(picture: Pixels, strength: float, width: float) -> Plane:
    """Outlines as factors (h, w): differences of two blurs of the luminance."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    fine = cv2.GaussianBlur(grey, (0, 0), width).astype(np.float32)
    broad = cv2.GaussianBlur(grey, (0, 0), width * 1.6).astype(np.float32)
    return np.asarray(1 - strength * ramp(1.2, 5.0, broad - fine), np.float32)


def _times(picture: Pixels, factors: Plane) -> Pixels:
    level = to_bytes(factors * 255)
    return as_pixels(cv2.multiply(picture, cv2.merge([level, level, level]), scale=1 / 255))


def _noir(picture: Pixels, seed: int) -> Pixels:
    """The shadow of a blind across the frame."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0 : height // 4, 0 : width // 4].astype(np.float32) * 4 / height
    slats = np.sin((y + x * 0.16) * 2 * np.pi * 9)
    reach = ramp(0.05, 0.35, x) * ramp(1.75, 1.1, x) * ramp(1.0, 0.7, y)
    shade = 1 - 0.42 * ramp(-0.1, 0.5, slats) * reach
    return _times(picture, np.asarray(cv2.resize(shade.astype(np.float32), (width, height)), np.float32))


def _anime(picture: Pixels, seed: int) -> Pixels:
    return _times(_flattened(picture, 9, 38), _ink(picture, 0.62, 1.0))


def _ghibli(picture: Pixels, seed: int) -> Pixels:
    return _times(_flattened(picture, 0, 46), _ink(picture, 0.34, 1.0))


def _watercolor(picture: Pixels, seed: int) -> Pixels:
    """Washes that pool at their edges, on paper that shows through at the frame's border."""
    height, width = picture.shape[:2]
    wash = _flattened(picture, 8, 60)
    pool = 1 - 0.25 * (1 - _ink(wash, 1.0, 2.2))
    paper = cv2.resize(fractal(generator("paper", 0), 256, 256, 24, 4), (width, height), interpolation=cv2.INTER_LINEAR)
    washed = _times(wash, np.asarray(pool * (0.88 + 0.16 * paper), np.float32))
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    border = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) / height + (paper - 0.5) * 0.07
    weight = ramp(0.012, 0.05, border)
    white = np.empty_like(washed)
    white[:] = (248, 244, 234)
    return as_pixels(cv2.blendLinear(washed, white, weight, np.float32(1) - weight))


def _oil(picture: Pixels, seed: int) -> Pixels:
    """Strokes: the colours dragged along noise, with the relief of thick paint."""
    height, width = picture.shape[:2]
    flat = _flattened(picture, 0, 50)
    angle = cv2.resize(fractal(generator("strokes", seed), 128, 128, 6, 2), (width, height)) * np.float32(2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    reach = np.float32(height / 160)
    grain = cv2.resize(fractal(generator("bristle", seed), 256, 256, 48, 2), (width, height)) - np.float32(0.5)
    dragged = cv2.remap(
        flat, x + np.cos(angle) * grain * reach * 3, y + np.sin(angle) * grain * reach * 3, cv2.INTER_LINEAR
    )
    relief = cv2.Sobel(grain, cv2.CV_32F, 1, 1, ksize=3)
    return _times(as_pixels(dragged), np.asarray(np.clip(0.97 + relief * 0.35, 0.8, 1.0), np.float32))


def _comic(picture: Pixels, seed: int) -> Pixels:
    """Flat colours, ink, and a screen of dots in the mid tones."""
    height, width = picture.shape[:2]
    flat = _flattened(picture, 6, 60)
    grey = cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    pitch = np.float32(2 * np.pi / max(3.0, height / 110))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dots = (np.sin((x + y) * pitch * np.float32(0.7)) * np.sin((x - y) * pitch * np.float32(0.7)) + 1) / 2
    screen = 1 - 0.22 * ramp(0.06, -0.06, grey * np.float32(1.2) - dots)
    return _times(flat, np.asarray(screen * _ink(picture, 0.95, 1.2), np.float32))


def _pixels(picture: Pixels, seed: int) -> Pixels:
    """Blocks in few colours with ordered dither."""
    height, width = picture.shape[:2]
    block = max(2, round(height / 144))
    small = cv2.resize(picture, (width // block, height // block), interpolation=cv2.INTER_AREA).astype(np.float32)
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - np.float32(0.5)
    tiled = np.tile(bayer, (small.shape[0] // 4 + 1, small.shape[1] // 4 + 1))[: small.shape[0], : small.shape[1]]
    step = 255 / 7
    reduced = to_bytes(np.rint((small + tiled[:, :, None] * step * 0.7) / step) * step)
    return as_pixels(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_NEAREST))


def _impressionist(picture: Pixels, seed: int) -> Pixels:
    """Dabs: colours scattered by a cell-wise random shift."""
    height, width = picture.shape[:2]
    cell = max(3, height // 90)
    rng = generator("dabs", seed)
    shape = (height // cell + 1, width // cell + 1)
    shifts = [
        cv2.resize(rng.uniform(-1, 1, shape).astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        for _ in range(2)
    ]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dabbed = cv2.remap(_flattened(picture, 0, 40), x + shifts[0] * cell, y + shifts[1] * cell, cv2.INTER_LINEAR)
    return _times(as_pixels(cv2.GaussianBlur(dabbed, (0, 0), 0.9)), np.asarray(0.97 + 0.03 * shifts[0], np.float32))


def _minimalist(picture: Pixels, seed: int) -> Pixels:
    return _flattened(as_pixels(soften(picture, 3.0)), 6, 70)


def _art_nouveau(picture: Pixels, seed: int) -> Pixels:
    return _times(_flattened(picture, 7, 55), _ink(picture, 0.8, 1.7))


_STYLISTS: dict[str, Stylist] = {
    "noir": _noir,
    "anime": _anime,
    "ghibli": _ghibli,
    "watercolor": _watercolor,
    "oil_painting": _oil,
    "comic": _comic,
    "pixel_art": _pixels,
    "impressionist": _impressionist,
    "minimalist": _minimalist,
    "art_nouveau": _art_nouveau,
}
