"""One light for set, figures and grade, from time of day, weather, lighting and mood.

Colour temperatures follow the usual table (candle 1,900 K, tungsten 3,200 K, golden hour 3,500 K, daylight 5,600 K,
overcast 6,500-7,500 K); moonlight is graded blue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from previz.camera import Array
from previz.drawing.canvas import Rgb, mixed, scaled
from previz.spec import FrameSpec


@dataclass(frozen=True)
class Light:
    """``key_side`` -1 (from the left) .. 1, ``key_height`` 0 (horizontal) .. 1; colours are factors round 1.

    ``sun`` and ``ambient`` are levels 0..1.5 of direct and surrounding light outdoors (and through windows), ``lamps``
    of the lamps indoors; ``contrast`` is how far the fill stays behind the key; ``rim`` the light from behind.
    ``lamplight`` is the level that the eye is used to where lamps are all there is.
    """

    key_side: float
    key_height: float
    key: Rgb
    fill: Rgb
    sun: float
    ambient: float
    lamps: float
    contrast: float
    rim: float
    zenith: Rgb
    horizon: Rgb
    haze: float = 0.0
    lamplight: float = 0.0

    @property
    def is_dark_outside(self) -> bool:
        """Whether windows are darker than the room."""
        return self.ambient < 0.3


_TIMES = {
    "dawn": Light(
        -0.9,
        0.12,
        (1.12, 0.94, 0.84),
        (0.88, 0.97, 1.16),
        0.55,
        0.5,
        0.5,
        0.35,
        0.35,
        (92, 122, 170),
        (246, 190, 158),
        0.25,
    ),
    "morning": Light(
        -0.8,
        0.42,
        (1.10, 1.02, 0.90),
        (0.92, 0.99, 1.10),
        0.95,
        0.72,
        0.15,
        0.35,
        0.2,
        (84, 140, 204),
        (212, 226, 234),
        0.12,
    ),
    "noon": Light(
        -0.3,
        0.92,
        (1.04, 1.02, 0.97),
        (0.93, 0.99, 1.08),
        1.1,
        0.8,
        0.1,
        0.35,
        0.1,
        (58, 122, 200),
        (186, 214, 236),
        0.06,
    ),
    "afternoon": Light(
        -0.7,
        0.5,
        (1.08, 1.01, 0.91),
        (0.92, 0.99, 1.09),
        1.0,
        0.74,
        0.15,
        0.38,
        0.2,
        (72, 130, 198),
        (204, 218, 228),
        0.1,
    ),
    "golden-hour": Light(
        -0.95,
        0.16,
        (1.30, 1.00, 0.68),
        (0.90, 0.92, 1.12),
        1.05,
        0.55,
        0.35,
        0.5,
        0.6,
        (98, 124, 168),
        (255, 196, 122),
        0.25,
    ),
    "dusk": Light(
        -0.9,
        0.08,
        (1.10, 0.82, 0.78),
        (0.82, 0.90, 1.20),
        0.26,
        0.58,
        0.85,
        0.45,
        0.4,
        (54, 68, 122),
        (236, 146, 118),
        0.25,
    ),
    "night": Light(
        -0.6, 0.55, (0.80, 0.96, 1.26), (0.74, 0.88, 1.26), 0.16, 0.13, 1.0, 0.55, 0.45, (8, 13, 30), (30, 42, 72), 0.12
    ),
}


def light_of(spec: FrameSpec) -> Light:
    """The light of a shot."""
    light = _weathered(_TIMES[spec.time_of_day], spec.weather)
    if spec.location.type == "interior":
        light = _indoors(light)
    return _directed(light, spec.lighting)


def outdoors(light: Light) -> Array:
    """Factors of the light from all of the sky."""
    return np.array(light.fill) * (0.16 + 0.62 * light.ambient)


def surround(light: Light) -> Rgb:
    """The colour of what stands about outdoors, mostly that of the sky near the horizon; its luminance is 1."""
    colour = np.array(light.horizon) * 0.9 + np.array(light.zenith) * 0.1
    r, g, b = colour / luma(colour)
    return float(r), float(g), float(b)


def luma(colour: Array) -> float:
    """Brightness of a colour or of factors (Rec. 601)."""
    return float(colour @ np.array([0.299, 0.587, 0.114]))


def _indoors(light: Light) -> Light:
    """Walls take the sky's blue out of the fill; after dark the lamps are the key."""
    lamplit = 0.8 if light.is_dark_outside else 0.0
    return replace(
        light,
        key=mixed(light.key, (1.16, 0.99, 0.80), lamplit),
        fill=mixed(light.fill, (1.02, 1.0, 0.98), 0.55),
        lamps=light.lamps + 0.4 * lamplit,
        lamplight=0.3 * lamplit,
    )


def _weathered(light: Light, weather: str) -> Light:
    if weather == "clear":
        return light
    grey, dim, haze = {
        "overcast": (0.58, 0.94, 0.2),
        "rain": (0.70, 0.84, 0.42),
        "fog": (0.80, 0.88, 1.6),
        "snow": (0.80, 0.98, 0.55),
        "storm": (0.80, 0.66, 0.40),
    }[weather]
    sky_grey = sum(light.horizon) / 3 * 0.55 + sum(light.zenith) / 3 * 0.45
    # A low sun shines in under the clouds: the sky's lower edge stays bright and everything stands out against it.
    under = 1.0 + 0.32 * max(0.0, 1.0 - light.key_height / 0.2)
    cloud = (sky_grey * 0.95, sky_grey * 0.99, sky_grey * 1.04)
    return replace(
        light,
        sun=light.sun * 0.12,
        ambient=light.ambient * dim,
        lamps=max(light.lamps, 0.45 if weather == "storm" else 0.3),
        contrast=light.contrast * 0.55,
        key=mixed(light.key, (0.97, 1.0, 1.04), grey),
        fill=mixed(light.fill, (0.97, 1.0, 1.04), grey),
        zenith=mixed(light.zenith, scaled(cloud, 0.8 * dim), grey),
        horizon=scaled(mixed(light.horizon, scaled(cloud, 1.12 * dim), 0.85 * grey), under),
        haze=light.haze + haze,
        rim=light.rim * 0.4,
    )


def _directed(light: Light, lighting: str) -> Light:
    """What the gaffer does to the light of the day; unknown words leave it."""
    changes: dict[str, dict[str, object]] = {
        "golden-hour": {"key": (1.30, 1.00, 0.68), "rim": max(light.rim, 0.55), "sun": max(light.sun, 0.7)},
        "dramatic": {"contrast": 0.72, "ambient": light.ambient * 0.72, "rim": light.rim + 0.25},
        "soft": {"contrast": light.contrast * 0.45, "ambient": light.ambient * 1.08},
        "hard": {"contrast": min(0.8, light.contrast * 1.6), "sun": light.sun * 1.2},
        "low-key": {"contrast": 0.78, "ambient": light.ambient * 0.5, "lamps": light.lamps * 0.8},
        "high-key": {"contrast": 0.15, "ambient": light.ambient * 1.3, "lamps": light.lamps + 0.3},
        "backlit": {"rim": 1.0, "contrast": 0.5, "ambient": light.ambient * 0.85},
        "neon": {"key": (1.22, 0.72, 1.14), "fill": (0.62, 1.02, 1.26), "contrast": 0.6, "rim": 0.8},
        "candlelight": {"key": (1.34, 0.96, 0.56), "lamps": 0.8, "ambient": light.ambient * 0.45, "contrast": 0.66},
        "moonlight": {"key": (0.78, 0.95, 1.28), "contrast": 0.6, "lamps": light.lamps * 0.4, "rim": 0.5},
        "practical": {"key": (1.20, 1.0, 0.78), "lamps": max(1.0, light.lamps), "ambient": light.ambient * 0.7},
    }
    return replace(light, **changes.get(lighting, {}))  # type: ignore[arg-type]
