"""What a figure does to the ground: its shape laid down away from the key, the dark under its soles, its reflection."""

from __future__ import annotations

import cv2
import numpy as np

from previz.aim import HEADS
from previz.camera import Array, Camera
from previz.drawing.body import PX_PER_HEAD, columns, rows
from previz.drawing.canvas import Metres, Panel, Pixels, draw_panel, to_bytes
from previz.drawing.figure_light import FigureLight
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, Placement

_CARD_HEADS = CARD_BOTTOM_HEADS - CARD_TOP_HEADS
_SOLES = ((-0.72, 0.36), (0.31, 0.32))
"""Middle and half width of each sole, in heads."""


def draw_shadow(canvas: Pixels, camera: Camera, placement: Placement, body: Pixels, falls: FigureLight) -> None:
    """Paint a figure's cast shadow and contact shadow."""
    x, _, z = placement.foot
    across = np.array(placement.across)
    height_m = float(np.linalg.norm(placement.down)) * HEADS / _CARD_HEADS
    flat = np.array([falls.shadow[0], 0.0, falls.shadow[1]]) * height_m / 1.7
    texture = _laid(body[:, :, 3], falls.shadow_strength)
    down = -flat * _CARD_HEADS / HEADS
    origin = np.array([x, 0.004, z]) - down * (HEADS - CARD_TOP_HEADS) / _CARD_HEADS - across / 2
    draw_panel(canvas, camera, Panel(_metres(origin), _metres(across), _metres(down), texture))
    head_m = height_m / HEADS
    right = across / np.linalg.norm(across)
    forward = np.array([-right[2], 0.0, right[0]])
    spot = _spot()
    for middle, half in (*_SOLES, (-0.2, 1.0)):
        corner = np.array([x, 0.005, z]) + right * (middle - half) * head_m + forward * (0.55 * half + 0.1) * head_m
        size = 2 * half * head_m
        draw_panel(canvas, camera, Panel(_metres(corner), _metres(right * size), _metres(-forward * size * 0.7), spot))


def draw_reflection(canvas: Pixels, camera: Camera, placement: Placement, body: Pixels) -> None:
    """Paint a figure's reflection in wet ground."""
    mirrored = np.array([1.0, -1.0, 1.0])
    texture = cv2.resize(body, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    texture = cv2.GaussianBlur(texture, (0, 0), sigmaX=1.0, sigmaY=5.0)
    fade = np.linspace(0.0, 0.42, texture.shape[0])[:, None]
    texture[:, :, 3] = to_bytes(texture[:, :, 3] * fade)
    origin, across, down = (np.array(v) * mirrored for v in (placement.origin, placement.across, placement.down))
    draw_panel(canvas, camera, Panel(_metres(origin), _metres(across), _metres(down), np.asarray(texture, np.uint8)))


def _laid(alpha: Pixels, strength: float) -> Pixels:
    """The figure's shape as a soft black texture, its missing head put on."""
    shape = alpha.copy()
    shape[: round(rows(1.0))] = 0
    middle = round(columns(0.0))
    radii = (round(0.36 * PX_PER_HEAD), round(0.53 * PX_PER_HEAD))
    cv2.ellipse(shape, (middle, round(rows(0.5))), radii, 0, 0, 360, (255,), -1, cv2.LINE_AA)
    half = round(0.7 * PX_PER_HEAD)
    cv2.rectangle(shape, (middle - half, round(rows(1.35))), (middle + half, round(rows(3.2))), (255,), -1)
    small = cv2.resize(shape, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1.6 + (3.0 if strength < 0.36 else 0.6))
    texture = np.zeros((*soft.shape, 4), np.uint8)
    texture[:, :, 3] = to_bytes(soft * np.linspace(0.35, 1.0, soft.shape[0])[:, None] * strength)
    return texture


def _spot() -> Pixels:
    spot = np.zeros((32, 32, 4), np.uint8)
    grid = np.linspace(-1, 1, 32)
    radius = np.hypot(grid[None, :], grid[:, None])
    spot[:, :, 3] = to_bytes(165 * np.clip(1 - radius, 0, 1) ** 1.1)
    return spot


def _metres(vector: Array) -> Metres:
    return float(vector[0]), float(vector[1]), float(vector[2])
