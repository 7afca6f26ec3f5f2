"""The plain figure as numbers: outlines of a person in a jacket and trousers, the weight on one leg.

Coordinates are heads: x from the figure's middle (positive to the screen's right), y down from the crown (0) to the
soles (7.5); proportions are those of the usual figure-drawing canon of seven and a half heads.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from previz.camera import Array

Stroke = tuple[tuple[float, float, float], ...]
"""Points (x, y, half width) along a limb, from top to bottom."""

TORSO: Stroke = (
    (0, 1.16, 0.22),
    (0, 1.25, 0.34),
    (0, 1.34, 0.56),
    (0, 1.44, 0.74),
    (0, 1.58, 0.86),
    (0, 1.95, 0.82),
    (0.01, 2.4, 0.70),
    (0.02, 2.8, 0.625),
    (0.03, 3.1, 0.635),
    (0.04, 3.5, 0.72),
    (0.05, 3.85, 0.78),
    (0.05, 4.18, 0.80),
)
"""A jacket to the hips, drawn in at the waist."""
LEFT_ARM: Stroke = (
    (-0.72, 1.53, 0.04),
    (-0.76, 1.64, 0.115),
    (-0.80, 1.78, 0.19),
    (-0.83, 1.92, 0.215),
    (-0.865, 2.05, 0.225),
    (-0.92, 2.5, 0.205),
    (-0.965, 2.9, 0.19),
    (-0.97, 3.3, 0.175),
    (-0.945, 3.7, 0.155),
    (-0.92, 3.94, 0.145),
)
RIGHT_ARM: Stroke = (
    (0.72, 1.53, 0.04),
    (0.76, 1.64, 0.115),
    (0.80, 1.78, 0.19),
    (0.83, 1.92, 0.215),
    (0.87, 2.05, 0.225),
    (0.945, 2.5, 0.205),
    (1.0, 2.88, 0.19),
    (1.0, 3.25, 0.175),
    (0.97, 3.66, 0.155),
    (0.94, 3.92, 0.145),
)
"""Sleeves that hang with an easy bend at the elbow."""
PALM: Stroke = ((0.0, -0.06, 0.085), (0.005, 0.08, 0.105), (0.0, 0.22, 0.115), (-0.015, 0.32, 0.105))
FINGERS: tuple[Stroke, ...] = (
    ((0.070, 0.26, 0.036), (0.066, 0.42, 0.034), (0.035, 0.54, 0.026)),
    ((0.020, 0.28, 0.038), (0.012, 0.47, 0.036), (-0.02, 0.60, 0.028)),
    ((-0.035, 0.28, 0.038), (-0.05, 0.46, 0.035), (-0.075, 0.57, 0.026)),
    ((-0.085, 0.24, 0.034), (-0.105, 0.38, 0.032), (-0.12, 0.48, 0.024)),
)
THUMB: Stroke = ((-0.085, 0.04, 0.045), (-0.135, 0.17, 0.042), (-0.15, 0.32, 0.030))
"""A relaxed right hand, from its wrist; the thumb towards the body."""
WEIGHT_LEG: Stroke = (
    (0.37, 3.7, 0.38),
    (0.39, 4.2, 0.39),
    (0.36, 4.7, 0.345),
    (0.32, 5.4, 0.275),
    (0.30, 5.75, 0.262),
    (0.29, 6.2, 0.262),
    (0.27, 6.8, 0.225),
    (0.26, 7.22, 0.215),
)
FREE_LEG: Stroke = (
    (-0.28, 3.7, 0.38),
    (-0.34, 4.2, 0.385),
    (-0.42, 4.7, 0.345),
    (-0.51, 5.4, 0.275),
    (-0.545, 5.75, 0.260),
    (-0.565, 6.2, 0.260),
    (-0.60, 6.8, 0.225),
    (-0.62, 7.20, 0.215),
)
WEIGHT_SHOE: Stroke = (
    (0.26, 7.12, 0.13),
    (0.275, 7.24, 0.165),
    (0.30, 7.36, 0.205),
    (0.31, 7.45, 0.21),
    (0.31, 7.5, 0.18),
)
FREE_SHOE: Stroke = (
    (-0.62, 7.10, 0.13),
    (-0.65, 7.22, 0.17),
    (-0.71, 7.34, 0.22),
    (-0.735, 7.43, 0.23),
    (-0.735, 7.48, 0.19),
)
NECK: Stroke = ((0, 0.8, 0.22), (0, 1.05, 0.20), (0, 1.25, 0.24), (0, 1.42, 0.34))
SKULL: Stroke = (
    (0, 0.06, 0.10),
    (0, 0.12, 0.22),
    (0, 0.25, 0.325),
    (0, 0.45, 0.36),
    (0, 0.62, 0.345),
    (0, 0.8, 0.295),
    (0, 0.90, 0.235),
    (0, 0.97, 0.165),
    (0, 1.01, 0.08),
)
HEM_HEADS = TORSO[-1][1]


def outline(stroke: Stroke) -> Array:
    """The closed contour round a stroke. (n, 2)."""
    points = np.array(stroke)
    y = np.linspace(points[0, 1], points[-1, 1], 56)
    x, half = (_smooth(np.interp(y, points[:, 1], points[:, i])) for i in (0, 2))
    above, below = _cap(x[0], y[0], half[0], -1.0), _cap(x[-1], y[-1], half[-1], 1.0)
    return np.concatenate([above, np.stack([x + half, y], axis=1), below, np.stack([x - half, y], axis=1)[::-1]])


@lru_cache(maxsize=256)
def half_width(y_heads: float) -> float:
    """Outer half width of the plain body at a height, the mean of its sides, in heads."""
    torso, left, right, weight, free = (
        abs(x) + half
        for x, half in (_at(stroke, y_heads) for stroke in (TORSO, LEFT_ARM, RIGHT_ARM, WEIGHT_LEG, FREE_LEG))
    )
    return max(torso, (left + right) / 2, (weight + free) / 2, 0.3)


def shoulder_line(x_heads: float) -> float:
    """Height of the plain body's upper edge at a distance from its middle, down from the crown, in heads."""
    edge = [(half, y) for _, y, half in TORSO[:4]] + [(abs(x) + half, y) for x, y, half in RIGHT_ARM[:5]]
    return float(np.interp(x_heads, [half for half, _ in edge], [y for _, y in edge]))


def _at(stroke: Stroke, y: float) -> tuple[float, float]:
    points = np.array(stroke)
    if not points[0, 1] <= y <= points[-1, 1]:
        return 0.0, 0.0
    return float(np.interp(y, points[:, 1], points[:, 0])), float(np.interp(y, points[:, 1], points[:, 2]))


def _cap(x: float, y: float, radius: float, way: float) -> Array:
    """The end of a limb, round where it is thin; left to right above (-1), right to left below (1)."""
    angles = np.linspace(np.pi, 0, 9) if way < 0 else np.linspace(0, np.pi, 9)
    depth = radius if radius < 0.1 else 0.05
    return np.stack([x + radius * np.cos(angles), y + way * depth * np.sin(angles)], axis=1)


def _smooth(values: Array) -> Array:
    window = np.hanning(9)[1:-1]
    smooth: Array = np.convolve(np.pad(values, 3, mode="edge"), window / window.sum(), mode="valid")
    return smooth
