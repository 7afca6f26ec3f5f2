"""A photograph of the place as the set: reframed by lens, pan and tilt, relit by the time of day."""

from __future__ import annotations

import math

import cv2
import numpy as np

from previz.camera import Camera
from previz.drawing.canvas import Pixels, Rgb, as_pixels, to_bytes

_PLATE_LENS_MM = 24.0
"""The lens that a photograph of a place is taken to have; a longer one shows a part of it."""


def draw_plate(camera: Camera, plate: Pixels, factors: Rgb) -> Pixels:
    """The plate (RGB of any size) as this camera would see it, in a light of these factors."""
    height, width = plate.shape[:2]
    cover = max(camera.width_px / width, camera.height_px / height)
    zoom = cover * min(2.6, max(1.04, (camera.lens_mm / _PLATE_LENS_MM) ** 0.75))
    seen_x, seen_y = camera.width_px / zoom, camera.height_px / zoom
    spare_x, spare_y = max(0.0, (width - seen_x) / 2), max(0.0, (height - seen_y) / 2)
    shift_x = float(np.clip(camera.pan * width / math.radians(74), -spare_x, spare_x))
    shift_y = float(np.clip(-camera.tilt * width / math.radians(74), -spare_y, spare_y))
    roll = cv2.getRotationMatrix2D((width / 2 + shift_x, height / 2 + shift_y), math.degrees(-camera.roll), zoom)
    roll[:, 2] += (camera.width_px / 2 - width / 2 - shift_x, camera.height_px / 2 - height / 2 - shift_y)
    source = plate
    if zoom < 0.7:
        small = (max(2, round(width * zoom)), max(2, round(height * zoom)))
        source = as_pixels(cv2.resize(plate, small, interpolation=cv2.INTER_AREA))
        roll = np.hstack([roll[:, :2] / zoom, roll[:, 2:]])
    flags = cv2.INTER_CUBIC if zoom > 1.3 else cv2.INTER_LINEAR
    size = (camera.width_px, camera.height_px)
    view = as_pixels(cv2.warpAffine(source, roll, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101))
    table = to_bytes(np.arange(256)[:, None] * np.array(factors)[None])[None]
    return as_pixels(cv2.LUT(view, table))
