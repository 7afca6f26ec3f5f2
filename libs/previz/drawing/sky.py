"""The sky: gradient, sun or moon, stars and clouds, exact for the camera's tilt, pan and roll."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing.canvas import Pixels, Plane, as_pixels, blend, ramp, to_bytes
from previz.drawing.light import Light
from previz.drawing.noise import fractal, generator

_STEP = 8
_CLOUD_COVER = {"clear": 0.30, "overcast": 0.95, "rain": 0.95, "fog": 0.6, "snow": 0.95, "storm": 1.0}


def rays(camera: Camera, step: int) -> tuple[Plane, Plane, Plane]:
    """World directions (x, y, z), unit length, of every ``step``-th pixel."""
    x = (np.arange(0, camera.width_px, step) + step / 2 - camera.width_px / 2) / camera.focal_px
    y = (camera.height_px / 2 - np.arange(0, camera.height_px, step) - step / 2) / camera.focal_px
    right, up, forward = camera.axes
    directions = [np.asarray(forward[i] + x[None, :] * right[i] + y[:, None] * up[i], np.float32) for i in range(3)]
    length = np.sqrt(directions[0] ** 2 + directions[1] ** 2 + directions[2] ** 2)
    return directions[0] / length, directions[1] / length, directions[2] / length


def sun_direction(light: Light) -> Array:
    """Where the sun (at night the moon) stands: before the camera, to the side of the key light."""
    height = 0.07 + 0.5 * light.key_height
    direction = np.array([0.62 * light.key_side, height, 0.9])
    return np.asarray(direction / np.linalg.norm(direction), np.float64)


def draw_sky(camera: Camera, light: Light, weather: str, place: str) -> Pixels:
    """The whole frame filled with sky, RGB; below the horizon it goes on as haze."""
    size = (camera.width_px, camera.height_px)
    across, upward, away = rays(camera, _STEP)
    rise = ramp(0.0, 1.0, np.sqrt(np.clip(upward, 0, 1)) * 1.15)[:, :, None]
    colours = np.array(light.horizon, np.float32) * (1 - rise) + np.array(light.zenith, np.float32) * rise
    if weather in ("clear", "fog"):
        colours += _sun_glow(across, upward, away, light)
    canvas = as_pixels(cv2.resize(to_bytes(colours), size, interpolation=cv2.INTER_CUBIC))
    night = light.ambient < 0.2
    if night and weather == "clear":
        _stars(canvas, camera)
    if weather == "clear":
        _disc(canvas, camera, light, night)
    _clouds(canvas, camera, light, _CLOUD_COVER[weather], place)
    return canvas


def _sun_glow(across: Plane, upward: Plane, away: Plane, light: Light) -> Plane:
    sun = sun_direction(light)
    cosine = np.clip(across * sun[0] + upward * sun[1] + away * sun[2], 0, 1)
    glow = 0.55 * cosine**6 + 0.9 * cosine**60
    strength = np.array(light.key, np.float32) ** 2 * np.float32(58 * min(1.0, light.sun + 0.15))
    return np.asarray(glow[:, :, None] * strength, np.float32)


def _disc(canvas: Pixels, camera: Camera, light: Light, night: bool) -> None:
    far = np.asarray(camera.position) + sun_direction(light) * 1e4
    pixel, depth = camera.project([far])
    if depth[0] <= 0:
        return
    radius = camera.focal_px * (0.019 if night else 0.015)
    x, y = pixel[0]
    if not (-radius < x < camera.width_px + radius and -radius < y < camera.height_px + radius):
        return
    colour = (232, 236, 240) if night else tuple(int(min(255, 252 * c)) for c in light.key)
    cv2.circle(canvas, (round(x * 16), round(y * 16)), round(radius * 16), colour, -1, cv2.LINE_AA, 4)


def _stars(canvas: Pixels, camera: Camera) -> None:
    rng = generator("stars")
    count = 420
    azimuth, height = rng.uniform(-1.2, 1.2, count), rng.uniform(0.03, 0.9, count)
    brightness = 60 + 150 * rng.random(count) ** 3
    far = np.stack([np.sin(azimuth), height, np.cos(azimuth)], axis=1) * 1e4 + camera.position
    pixels, depths = camera.project(far)
    for (x, y), depth, level in zip(pixels, depths, brightness, strict=True):
        if depth > 0 and 0 <= x < camera.width_px - 1 and 0 <= y < camera.height_px - 1:
            row, column = int(y), int(x)
            canvas[row, column] = np.maximum(canvas[row, column], np.uint8(level))


@lru_cache(maxsize=8)
def _cloud_tile(place: str) -> Plane:
    return fractal(generator("clouds", place), 512, 512, 4, 7)


def _clouds(canvas: Pixels, camera: Camera, light: Light, cover: float, place: str) -> None:
    """Clouds as a plane overhead: they grow smaller towards the horizon as real ones do."""
    across, upward, away = rays(camera, 4)
    if float(upward.max()) < 0.02:
        return
    height = np.maximum(upward, 0.02)
    u, v = across / height * 70.0, away / height * 70.0
    tile = _cloud_tile(place)
    density = cv2.remap(
        tile, np.mod(u, 511.0).astype(np.float32), np.mod(v, 511.0).astype(np.float32), cv2.INTER_LINEAR
    )
    lit = cv2.remap(
        tile, np.mod(u + 9, 511.0).astype(np.float32), np.mod(v - 7, 511.0).astype(np.float32), cv2.INTER_LINEAR
    )
    threshold = 0.72 - 0.5 * cover
    thickness = ramp(threshold, threshold + 0.30, density) * ramp(0.02, 0.12 if cover < 0.9 else 0.20, upward)
    weight = thickness * np.float32(0.35 + 0.55 * cover)
    shade = np.clip(0.72 + (density - lit) * 2.2 + 0.25 * (1 - thickness), 0.45, 1.2)
    level = sum(light.horizon) / 3
    white = np.array(light.key) * min(250.0, level * (1.18 if cover < 0.9 else 0.96) + 16)
    colour = to_bytes(shade[:, :, None] * white.astype(np.float32))
    size = (camera.width_px, camera.height_px)
    weight = np.asarray(cv2.resize(weight.astype(np.float32), size, interpolation=cv2.INTER_LINEAR))
    blend(canvas, as_pixels(cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR)), weight)
