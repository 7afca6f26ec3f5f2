"""Solving the camera's place: the height of a head in the frame and the place of its eyes determine it exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from previz.camera import Array, Camera

HEADS = 7.5
"""A figure's height in its own heads."""
EYE_HEADS = HEADS - 0.5
_LOWEST_CAMERA_M = 0.12
_LEAN_TILTS, _LEANS = (-48.0, -20.0), (0.12, 0.55)
"""The share of the camera's tilt, in degrees, by which cards lean."""


@dataclass(frozen=True)
class Aim:
    """What the camera is solved for: the eyes and the head's height of a figure of this height, standing here."""

    anchor_foot: tuple[float, float, float]
    pixel: tuple[float, float]
    head_px: float
    height_m: float


def aimed(camera: Camera, aim: Aim) -> Camera:
    """Solve the position; where it falls below the ground, tilt up less until it does not."""
    solved = _solved(camera, aim)
    if solved.position[1] >= _LOWEST_CAMERA_M:
        return solved
    low, high = math.radians(-60), camera.tilt
    for _ in range(24):
        middle = (low + high) / 2
        solved = _solved(replace(camera, tilt=middle), aim)
        low, high = (middle, high) if solved.position[1] >= _LOWEST_CAMERA_M else (low, middle)
    return _solved(replace(camera, tilt=low), aim)


def _solved(camera: Camera, aim: Aim) -> Camera:
    """Move the camera until the head of a figure at the anchor has its height and its eyes their place."""
    depth = camera.focal_px * aim.height_m / HEADS / aim.head_px
    up = card_up(camera)
    foot = np.asarray(aim.anchor_foot)
    for _ in range(6):
        camera = camera.placed(foot + up * (aim.height_m * EYE_HEADS / HEADS), aim.pixel, depth)
        depth *= head_px_of(camera, foot, up, aim.height_m) / aim.head_px
    return camera


def card_up(camera: Camera) -> Array:
    """Up along a card: cards turn to the camera's pan and lean back by half of a steep tilt, so faces stay faces.

    Under a camera that looks down steeply they stand upright and are foreshortened, as people seen from above are.
    """
    lean = camera.tilt * float(np.interp(math.degrees(camera.tilt), _LEAN_TILTS, _LEANS))
    return np.array([-math.sin(camera.pan) * math.sin(lean), math.cos(lean), -math.cos(camera.pan) * math.sin(lean)])


def head_px_of(camera: Camera, foot: Array, up: Array, height_m: float) -> float:
    """Height in the frame of the head of a figure of this height that stands at ``foot``."""
    pixels, _ = camera.project([foot + up * height_m, foot + up * (height_m * (1 - 1 / HEADS))])
    return float(np.hypot(*(pixels[1] - pixels[0])))


def distance(camera: Camera, head: float, height_m: float) -> float:
    """How far a figure of this height stands whose head takes this share of the frame's height."""
    return camera.focal_px * height_m / HEADS / (head * camera.height_px)
