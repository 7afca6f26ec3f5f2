"""Painting textured plane panels in exact perspective, and the few pixel operations that the other modules share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from previz.camera import NEAR_M, Array, Camera

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.floating[Any]]
"""One number a pixel; float32 wherever speed matters."""
Rgb = tuple[float, float, float]
Metres = tuple[float, float, float]

_SHIFT = 4
_HALF_PIXEL: Array = np.array([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1.0]])
_HALF_PIXEL_BACK: Array = np.array([[1.0, 0, -0.5], [0, 1.0, -0.5], [0, 0, 1.0]])


@dataclass(frozen=True)
class Panel:
    """A rectangle in the world with a texture: upper left corner and its two edges in metres."""

    origin: Metres
    across: Metres
    down: Metres
    texture: Pixels


def draw_panel(
    canvas: Pixels, camera: Camera, panel: Panel, interpolation: int = cv2.INTER_LINEAR, cover: Plane | None = None
) -> None:
    """Paint a panel, RGB or RGBA with straight alpha, where the camera sees it; what lies behind the camera is cut.

    ``cover`` (canvas height, canvas width), 0..1, takes up how much of each pixel the panel hides.
    """
    homography = camera.homography(panel.origin, panel.across, panel.down)
    polygon = _visible(homography)
    if polygon is None:
        return
    box = _bounds(polygon, canvas.shape[1], canvas.shape[0])
    if box is None:
        return
    left, top, right, bottom = box
    texture = _shrunk(panel.texture, polygon)
    colour = warp(texture, homography, box, interpolation)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    shifted = np.round((polygon - (left, top) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(mask, shifted, (255,), cv2.LINE_AA, _SHIFT)
    weight = mask.astype(np.float32) * np.float32(1 / 255)
    if colour.shape[2] == 4:
        weight *= colour[:, :, 3].astype(np.float32) * np.float32(1 / 255)
    region = canvas[top:bottom, left:right]
    blend(region, np.ascontiguousarray(colour[:, :, :3]), weight)
    if cover is not None:
        hidden = cover[top:bottom, left:right]
        hidden += weight * (1 - hidden)


def is_in_frame(camera: Camera, origin: Metres, across: Metres, down: Metres) -> bool:
    """Whether any part of a panel's rectangle may fall into the frame."""
    polygon = _visible(camera.homography(origin, across, down))
    return polygon is not None and _bounds(polygon, camera.width_px, camera.height_px) is not None


def warp(texture: Pixels, homography: Array, box: tuple[int, int, int, int], interpolation: int) -> Pixels:
    """Resample a texture that spans the unit square through a homography to pixels of ``box``."""
    height, width = texture.shape[:2]
    to_unit = np.diag([1 / width, 1 / height, 1.0]) @ _HALF_PIXEL
    to_box = _HALF_PIXEL_BACK @ np.array([[1.0, 0, -box[0]], [0, 1.0, -box[1]], [0, 0, 1.0]])
    size = (box[2] - box[0], box[3] - box[1])
    matrix = to_box @ homography @ to_unit
    return as_pixels(cv2.warpPerspective(texture, matrix, size, flags=interpolation, borderMode=cv2.BORDER_REPLICATE))


def blend(region: Pixels, colour: Pixels, weight: Plane) -> None:
    """Lay ``colour`` over ``region`` in place; ``weight`` (h, w) is 0..1."""
    region[:] = cv2.blendLinear(colour, np.ascontiguousarray(region), weight, np.float32(1) - weight)


def tint(region: Pixels, colour: Rgb, weight: Plane) -> None:
    """Lay one colour over ``region`` in place."""
    flat = np.empty(region.shape, np.uint8)
    flat[:] = to_bytes(np.array(colour))
    blend(region, flat, weight)


def fill(canvas: Pixels, points: npt.ArrayLike, colour: Rgb) -> None:
    """Fill a polygon of pixel coordinates with anti-aliased edges."""
    shifted = np.round((np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT))
    polygon = np.clip(shifted, -(2**24), 2**24).astype(np.int32)
    cv2.fillPoly(canvas, [polygon], [round(c) for c in colour], cv2.LINE_AA, _SHIFT)


def soften(picture: npt.NDArray[Any], diameter_px: float) -> npt.NDArray[Any]:
    """Blur as a lens that is out of focus; large blurs are made at a lower resolution, where none can see it."""
    sigma = diameter_px * 0.36
    if sigma < 0.35:
        return picture
    height, width = picture.shape[:2]
    factor = 1 << max(0, min(4, int(np.log2(max(sigma / 1.6, 1.0)))))
    if factor == 1:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    small_size = (max(4, width // factor), max(4, height // factor))
    small = cv2.resize(picture, small_size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def to_bytes(values: npt.NDArray[Any]) -> Pixels:
    """Round and clip to 0..255."""
    return as_pixels(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def as_pixels(picture: npt.NDArray[Any]) -> Pixels:
    """The same array, for the type checker: OpenCV's results have no static element type."""
    return picture


def ramp(edge0: float, edge1: float, values: npt.NDArray[Any]) -> Plane:
    """Smooth step from 0 at ``edge0`` to 1 at ``edge1``."""
    t = np.clip((values - edge0) / (edge1 - edge0), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    """``first`` with a share 0..1 of ``second``."""
    r, g, b = (a + (z - a) * share for a, z in zip(first, second, strict=True))
    return r, g, b


def scaled(colour: Rgb, factor: float) -> Rgb:
    """A colour, lighter or darker."""
    r, g, b = (min(255.0, c * factor) for c in colour)
    return r, g, b


def _visible(homography: Array) -> Array | None:
    """The unit square's part before the near plane, in pixels. (n, 2), or ``None`` if none is."""
    corners = np.array([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    depths = corners @ homography[2]
    kept: list[Array] = []
    for i in range(4):
        here, there, depth, next_depth = corners[i], corners[(i + 1) % 4], depths[i], depths[(i + 1) % 4]
        if depth >= NEAR_M:
            kept.append(here)
        if (depth >= NEAR_M) != (next_depth >= NEAR_M):
            kept.append(here + (there - here) * ((NEAR_M - depth) / (next_depth - depth)))
    if len(kept) < 3:
        return None
    projected = np.asarray(kept) @ homography.T
    pixels: Array = projected[:, :2] / projected[:, 2:]
    return pixels


def _bounds(polygon: Array, width: int, height: int) -> tuple[int, int, int, int] | None:
    low = np.floor(polygon.min(axis=0)) - 1
    high = np.ceil(polygon.max(axis=0)) + 1
    left, top = max(0, int(max(low[0], 0))), max(0, int(max(low[1], 0)))
    right, bottom = int(min(high[0], width)), int(min(high[1], height))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _shrunk(texture: Pixels, polygon: Array) -> Pixels:
    """The texture at about the density of the screen, so that far panels don't shimmer."""
    area = abs(float(cv2.contourArea(polygon.astype(np.float32))))
    factor = (texture.shape[0] * texture.shape[1] / max(area, 16.0)) ** 0.5
    if factor < 1.6:
        return texture
    size = (max(2, round(texture.shape[1] / factor)), max(2, round(texture.shape[0] / factor)))
    return as_pixels(cv2.resize(texture, size, interpolation=cv2.INTER_AREA))
