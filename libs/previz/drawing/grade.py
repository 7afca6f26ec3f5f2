"""One grade over set and figures: exposure, contrast, temperature, bloom, vignette, grain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, Plane, Rgb, as_pixels, to_bytes
from previz.drawing.light import Light
from previz.drawing.noise import generator
from previz.spec import FrameSpec


@dataclass(frozen=True)
class Look:
    """A grade. Factors are round 1; ``shadows`` and ``highlights`` are colours that tint those ends (split toning)."""

    exposure: float = 1.0
    contrast: float = 0.22
    saturation: float = 1.0
    shadows: Rgb = (0.98, 1.0, 1.04)
    highlights: Rgb = (1.03, 1.0, 0.96)
    black: float = 4.0
    bloom: float = 0.22
    vignette: float = 0.30
    grain: float = 1.8


_LEAST_SPREAD, _LEAST_MEDIAN, _MOST_GAIN = 72.0, 42.0, 3.0
"""What keeps any frame legible: 8-bit levels between its 5th and 95th percentile, its median, the most it is opened."""

_STYLES = {
    "cinematic": Look(
        contrast=0.30, saturation=0.96, shadows=(0.90, 1.0, 1.12), highlights=(1.07, 1.0, 0.90), vignette=0.36
    ),
    "noir": Look(
        exposure=0.96,
        contrast=0.75,
        saturation=0.0,
        shadows=(1, 1, 1),
        highlights=(1, 1, 1),
        black=0,
        vignette=0.62,
        grain=5,
    ),
    "photorealistic": Look(contrast=0.2, vignette=0.16, grain=1.5, bloom=0.12),
    "anime": Look(exposure=1.10, contrast=0.16, saturation=1.32, vignette=0.08, grain=0.0, bloom=0.35),
    "ghibli": Look(
        exposure=1.10,
        contrast=0.08,
        saturation=1.22,
        highlights=(1.05, 1.02, 0.93),
        vignette=0.06,
        grain=0.0,
        bloom=0.3,
    ),
    "fantasy": Look(
        contrast=0.24, saturation=1.18, shadows=(1.0, 0.94, 1.14), highlights=(1.08, 1.02, 0.88), bloom=0.6
    ),
    "watercolor": Look(exposure=1.16, contrast=0.02, saturation=1.05, black=26, vignette=0.0, grain=0.0, bloom=0.1),
    "oil_painting": Look(contrast=0.26, saturation=1.16, highlights=(1.08, 1.02, 0.86), vignette=0.34, grain=0.0),
    "comic": Look(exposure=1.08, contrast=0.42, saturation=1.3, vignette=0.0, grain=0.0, bloom=0.0),
    "cyberpunk": Look(
        contrast=0.42,
        saturation=1.24,
        shadows=(0.80, 0.94, 1.34),
        highlights=(1.16, 0.88, 1.08),
        bloom=0.8,
        vignette=0.44,
    ),
    "steampunk": Look(
        contrast=0.30, saturation=0.72, shadows=(1.08, 0.98, 0.84), highlights=(1.12, 1.02, 0.80), vignette=0.44
    ),
    "dark_gothic": Look(
        exposure=0.80,
        contrast=0.46,
        saturation=0.46,
        shadows=(0.90, 0.98, 1.12),
        highlights=(0.98, 1, 1.02),
        vignette=0.66,
    ),
    "minimalist": Look(exposure=1.10, contrast=0.10, saturation=0.62, black=12, vignette=0.06, grain=0.0, bloom=0.1),
    "pixel_art": Look(exposure=1.06, contrast=0.34, saturation=1.28, vignette=0.0, grain=0.0, bloom=0.0),
    "impressionist": Look(exposure=1.06, contrast=0.16, saturation=1.25, vignette=0.08, grain=0.0),
    "art_nouveau": Look(
        exposure=1.06,
        contrast=0.20,
        saturation=0.86,
        shadows=(1.02, 1.0, 0.92),
        highlights=(1.07, 1.02, 0.88),
        grain=0.0,
    ),
}
_MOODS: dict[str, dict[str, float]] = {
    "peaceful": {"contrast": -0.08, "exposure": 0.03},
    "tense": {"contrast": 0.12, "saturation": -0.14, "vignette": 0.10},
    "joyful": {"saturation": 0.12, "exposure": 0.05},
    "melancholic": {"saturation": -0.24, "exposure": -0.04},
    "mysterious": {"exposure": -0.07, "vignette": 0.14, "saturation": -0.06},
    "romantic": {"bloom": 0.3, "saturation": 0.06},
    "epic": {"contrast": 0.12, "bloom": 0.15},
    "ominous": {"exposure": -0.10, "contrast": 0.12, "saturation": -0.2, "vignette": 0.18},
    "hopeful": {"exposure": 0.05, "bloom": 0.12},
}


def look_of(spec: FrameSpec) -> Look:
    """The grade of a shot; unknown styles are graded neutrally."""
    look = _STYLES.get(spec.style, Look())
    changes = _MOODS.get(spec.mood, {})
    return replace(look, **{name: getattr(look, name) + change for name, change in changes.items()})


def grade(picture: Pixels, look: Look, light: Light, seed: int) -> Pixels:
    """The graded picture, RGB."""
    exposed = _exposure(picture, look, light)
    bloomed = _bloomed(picture, look.bloom, exposed)
    graded = as_pixels(cv2.LUT(bloomed, _curves(look, light, exposed)))
    graded = _separated(graded)
    if look.saturation != 1.0:
        graded = _saturated(graded, look.saturation)
    return _finished(graded, look, seed)


def _exposure(picture: Pixels, look: Look, light: Light) -> float:
    """Open the lens towards a mid grey that suits the hour, within a stop; rounded against noise."""
    small = cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA)
    mean = float(small.astype(np.float64).mean())
    wanted = float(np.interp(max(light.ambient, light.lamplight), (0.13, 0.55), (72.0, 128.0)))
    return round(float(np.clip((wanted / max(mean, 1.0)) ** 0.72, 0.80, 2.1)), 2) * look.exposure


def _bloomed(picture: Pixels, strength: float, exposed: float) -> Pixels:
    if strength <= 0:
        return picture
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    bright = cv2.subtract(small, np.full_like(small, int(min(215, 190 / max(exposed, 0.5) + 20))))
    glow = cv2.GaussianBlur(cv2.convertScaleAbs(bright, alpha=3.0 * strength), (0, 0), max(1.0, width / 8 * 0.028))
    return as_pixels(cv2.add(picture, cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)))


def _curves(look: Look, light: Light, exposed: float) -> Pixels:
    """A table (1, 256, 3): exposure with a soft shoulder, an S curve, split toning and the light's own colour."""
    linear = np.arange(256, dtype=np.float64) / 255 * exposed
    shoulder = np.where(linear < 0.7, linear, 0.7 + 0.3 * np.tanh((linear - 0.7) / 0.3))
    curve = shoulder + look.contrast * (shoulder * shoulder * (3 - 2 * shoulder) - shoulder)
    t = curve[:, None]
    tone = np.array(look.shadows) * (1 - t) + np.array(look.highlights) * t
    cast = 1 + (np.array(light.key) * 0.5 + np.array(light.fill) * 0.5 - 1) * 0.35
    return to_bytes(look.black + (255 - look.black) * t * tone * cast)[None]


def _separated(picture: Pixels) -> Pixels:
    """Levels opened upwards from the shadows where a frame's tones lie too close together or too low to be read."""
    small = cv2.cvtColor(cv2.resize(picture, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    low, middle, high = (float(level) for level in np.percentile(small, (5, 50, 95)))
    spread = _LEAST_SPREAD / max(high - low, 1.0)
    lifted = (_LEAST_MEDIAN - low) / max(middle - low, 1.0)
    gain = round(float(np.clip(max(spread, lifted), 1.0, _MOST_GAIN)), 2)
    if gain == 1.0:
        return picture
    levels = np.arange(256, dtype=np.float64)
    opened = low + (levels - low) * gain
    # What is bright already rolls off: lamps keep their shape.
    opened = np.where(opened < 180, opened, 180 + 75 * np.tanh((opened - 180) / 75))
    return as_pixels(cv2.LUT(picture, to_bytes(np.where(levels < low, levels, opened))))


def _saturated(picture: Pixels, saturation: float) -> Pixels:
    luma = np.array([0.299, 0.587, 0.114])
    matrix = np.eye(3) * saturation + np.ones((3, 1)) * luma[None] * (1 - saturation)
    return as_pixels(cv2.transform(picture, matrix))


def _finished(picture: Pixels, look: Look, seed: int) -> Pixels:
    height, width = picture.shape[:2]
    if look.vignette > 0:
        picture = as_pixels(cv2.multiply(picture, _vignette(height, width, round(look.vignette, 2)), scale=1 / 255))
    if look.grain > 0:
        tile = _grain(round(look.grain, 1))
        rng = generator("grain", seed)
        top, left = int(rng.integers(256)), int(rng.integers(256))
        rows = np.arange(top, top + height) % tile.shape[0]
        columns = np.arange(left, left + width) % tile.shape[1]
        grain = np.ascontiguousarray(tile[rows][:, columns])
        picture = as_pixels(cv2.add(picture, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U))
    return picture


@lru_cache(maxsize=8)
def _vignette(height: int, width: int, strength: float) -> Pixels:
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    falloff: Plane = np.asarray(1 - strength * np.clip((x**2 + y**2 * 0.8) / 1.8, 0, 1) ** 1.4, np.float32)
    return np.repeat(to_bytes(falloff * 255)[:, :, None], 3, axis=2)


@lru_cache(maxsize=8)
def _grain(strength: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    noise = generator("film", "grain").normal(0, 1, (512, 512)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 0.7)
    return np.asarray(np.rint(soft / soft.std() * strength), np.int16)
