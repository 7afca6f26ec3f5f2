"""What falls or drifts between the camera and the scene."""

from __future__ import annotations

import cv2
import numpy as np

from previz.camera import Camera
from previz.drawing.canvas import Pixels, Plane, as_pixels, blend, ramp, to_bytes
from previz.drawing.light import Light
from previz.drawing.noise import fractal, generator


def draw_weather(canvas: Pixels, camera: Camera, light: Light, weather: str, seed: int) -> None:
    """Rain, snow or fog over the frame, in place; nothing for other weathers."""
    if weather in ("rain", "storm"):
        _rain(canvas, light, seed, 900 if weather == "storm" else 560)
    elif weather == "snow":
        _snow(canvas, seed)
    elif weather == "fog":
        _fog(canvas, camera, light, seed)


def _rain(canvas: Pixels, light: Light, seed: int, count: int) -> None:
    height, width = canvas.shape[:2]
    rng = generator("rain", seed)
    streaks = np.zeros((height, width), np.uint8)
    x, y = rng.uniform(-60, width, count), rng.uniform(-60, height, count)
    length = rng.uniform(0.03, 0.11, count) * height
    for x0, y0, reach, level in zip(x, y, length, rng.uniform(40, 130, count), strict=True):
        start, end = (round(x0 * 16), round(y0 * 16)), (round((x0 + reach * 0.16) * 16), round((y0 + reach) * 16))
        cv2.line(streaks, start, end, (int(level),), 1, cv2.LINE_AA, 4)
    streaks = as_pixels(cv2.GaussianBlur(streaks, (3, 3), 0.6))
    level = 0.45 + 0.55 * min(1.0, light.ambient + 0.2)
    canvas[:] = cv2.add(canvas, cv2.merge([cv2.convertScaleAbs(streaks, alpha=level * c) for c in (0.86, 0.93, 1.0)]))


def _snow(canvas: Pixels, seed: int) -> None:
    height, width = canvas.shape[:2]
    rng = generator("snow", seed)
    flakes = np.zeros((height, width), np.uint8)
    for size, count, blur in ((0.9, 420, 0.5), (2.0, 130, 1.0), (5.0, 26, 2.4)):
        layer = np.zeros((height, width), np.uint8)
        scale = height / 576
        for x, y in zip(rng.uniform(0, width, count), rng.uniform(0, height, count), strict=True):
            cv2.circle(layer, (round(x * 16), round(y * 16)), round(size * scale * 16), (190,), -1, cv2.LINE_AA, 4)
        flakes = np.maximum(flakes, as_pixels(cv2.GaussianBlur(layer, (0, 0), blur * max(scale, 0.5))))
    canvas[:] = cv2.add(canvas, cv2.merge([flakes, flakes, flakes]))


def _fog(canvas: Pixels, camera: Camera, light: Light, seed: int) -> None:
    height, width = canvas.shape[:2]
    drift = fractal(generator("fog", seed), 64, 64, 2, 4)
    drift = np.asarray(cv2.resize(drift, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    band: Plane = ramp(height, camera.horizon_y(), y) * ramp(-0.6 * height, camera.horizon_y(), y)
    weight = np.asarray(np.clip((0.10 + 0.30 * drift) * (0.4 + 0.6 * band), 0, 0.6), np.float32)
    pale = np.empty(canvas.shape, np.uint8)
    pale[:] = to_bytes(np.array(light.horizon))
    blend(canvas, pale, weight)
