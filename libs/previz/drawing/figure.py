"""Figures on the set: shadow on the ground, body and photograph on one card, lit by the light of the place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing.body import PX_PER_HEAD, rows
from previz.drawing.canvas import Metres, Panel, Pixels, Plane, Rgb, draw_panel, ramp, soften, to_bytes
from previz.drawing.cutout import Cutout, cutout
from previz.drawing.exterior import exposure, haze_share
from previz.drawing.illumination import illuminate
from previz.drawing.light import Light
from previz.drawing.rooms import room_of
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, HEADS, Layout, Placement
from previz.spec import Colour, FrameSpec

_SOFT_SHOULDER_HEADS = 0.22
_CARD_HEADS = CARD_BOTTOM_HEADS - CARD_TOP_HEADS


@dataclass(frozen=True)
class FigureLight:
    """Light on a card's left and right edge, as factors (3,); where shadows fall, in metres on the ground (x, z)."""

    left: Rgb
    right: Rgb
    shadow: tuple[float, float]
    shadow_strength: float


def figure_light(spec: FrameSpec, light: Light) -> FigureLight:
    """The light of the set where the figures stand."""
    if spec.location.type == "interior":
        illumination = illuminate(room_of(spec.location), light)
        chest = np.array([[0.0, 1.5, -0.2]])
        left, right = (
            illumination.on(chest, np.array([side * 0.62, 0.1, -0.78]))[0].astype(np.float64) for side in (-1, 1)
        )
        if light.is_dark_outside:
            left = left + np.array(light.key) * 0.28 * light.lamps
        shadow, strength = (0.75, -0.35), 0.34
    else:
        near, far = exposure(light, 0.95), exposure(light, 0.2)
        left, right = (near, far) if light.key_side < 0 else (far, near)
        length = min(3.2, 0.9 / max(light.key_height, 0.2))
        shadow = (-light.key_side * length * 0.75, -length * 0.6)
        strength = 0.12 + 0.40 * min(1.0, light.sun)
    middle = (left + right) / 2
    # The eye adapts and stylists bounce light: a face never falls as dark as the set round it.
    level = float(np.clip(middle.mean(), 0.05, 1.4))
    lifted = min(0.98, 0.40 + 0.58 * level)
    spread = 0.55 + 0.9 * light.contrast
    balance = [_tinted(lifted * (1 + spread * (edge / level - 1) * 0.8)) for edge in (left, right)]
    return FigureLight(balance[0], balance[1], shadow, strength)


def _tinted(factors: Array) -> Rgb:
    """Bound the strength of the light's colour on skin."""
    mean = float(np.clip(factors.mean(), 0.20, 1.22))
    r, g, b = mean * np.clip(factors / max(float(factors.mean()), 1e-3), 0.72, 1.32)
    return float(r), float(g), float(b)


def draw_figure(
    canvas: Pixels, layout: Layout, placement: Placement, matte: Pixels | None, *, spec: FrameSpec, light: Light
) -> None:
    """Paint one figure."""
    camera = layout.camera
    behind = placement.role == "shoulder"
    layers = cutout(placement.figure, matte, float(np.sign(light.key_side)), "back" if behind else "face")
    falls = figure_light(spec, light)
    air = haze_share(light, placement.depth_m) if spec.location.type == "exterior" else 0.0
    if behind:
        card = _shoulder(layers, placement.figure.hair, falls)
        draw_panel(canvas, camera, Panel(placement.origin, placement.across, placement.down, card))
        return
    _draw_shadow(canvas, camera, placement, layers, falls)
    body, photograph = _lit_layers(layers, falls, light, round(air * 64))
    draw_panel(canvas, camera, Panel(placement.origin, placement.across, placement.down, body))
    if photograph is not None:
        (width, _, left), (_, height, top), _ = layers.to_card
        across, down = np.array(placement.across), np.array(placement.down)
        origin = placement.origin + left * across + top * down
        panel = Panel(_metres(origin), _metres(width * across), _metres(height * down), photograph)
        draw_panel(canvas, camera, panel, cv2.INTER_CUBIC)


@lru_cache(maxsize=24)
def _lit_layers(layers: Cutout, falls: FigureLight, light: Light, air_64ths: int) -> tuple[Pixels, Pixels | None]:
    """Body and photograph in the light of the place."""
    body = _relit(layers.body, falls, light, air_64ths / 64, np.eye(3))
    if layers.photograph is None:
        return body, None
    return body, _relit(layers.photograph, falls, light, air_64ths / 64, layers.to_card)


def _relit(texture: Pixels, falls: FigureLight, light: Light, air: float, to_card: Array) -> Pixels:
    """Key and fill across the card, light from behind on the edges, and the air between."""
    width = texture.shape[1]
    x = (np.arange(width, dtype=np.float64) + 0.5) / width * to_card[0, 0] + to_card[0, 2]
    share = ramp(0.30, 0.70, x)[:, None]
    factors = np.array(falls.left) * (1 - share) + np.array(falls.right) * share
    lit = texture[:, :, :3].astype(np.float32) * factors[None].astype(np.float32)
    if light.rim > 0.05:
        lit += _rim(texture[:, :, 3], light, texture.shape[0] / _CARD_HEADS / to_card[1, 1])
    # Highlights roll off as film's do.
    lit = np.tanh(lit * np.float32(0.92 / 255)) * np.float32(255 / 0.80)
    if air > 0.002:
        lit = lit * np.float32(1 - air) + np.array(light.horizon, np.float32) * np.float32(air)
    return np.dstack([to_bytes(lit), texture[:, :, 3]])


def _rim(alpha: Pixels, light: Light, px_per_head: float) -> Plane:
    """A bright edge where the light behind grazes the outline, stronger on the key's side."""
    factor = 2 if px_per_head > 48 else 1
    small = cv2.resize(alpha, (alpha.shape[1] // factor, alpha.shape[0] // factor), interpolation=cv2.INTER_AREA)
    reach = max(1.0, 0.035 * px_per_head / factor)
    shift = np.array([[1, 0, -np.sign(light.key_side) * reach], [0, 1, reach * 0.5]], np.float64)
    moved = cv2.warpAffine(small, shift, (small.shape[1], small.shape[0]))
    edge = cv2.subtract(small, cv2.GaussianBlur(moved, (0, 0), reach * 0.7))
    edge = cv2.resize(edge, (alpha.shape[1], alpha.shape[0]), interpolation=cv2.INTER_LINEAR).astype(
        np.float32
    ) / np.float32(255)
    strength = np.array(light.key, np.float32) ** 2 * np.float32(
        105 * light.rim * min(1.0, 0.35 + light.sun + 0.2 * light.lamps)
    )
    return np.asarray(edge[:, :, None] * strength, np.float32)


def _draw_shadow(canvas: Pixels, camera: Camera, placement: Placement, layers: Cutout, falls: FigureLight) -> None:
    """The figure's shape laid on the ground away from the key, and the dark where the shoes stand."""
    x, _, z = placement.foot
    across = np.array(placement.across)
    flat = np.array([falls.shadow[0], 0.0, falls.shadow[1]])
    alpha = layers.body[:, :, 3].copy()
    alpha[: round(rows(1.0))] = 0
    cv2.ellipse(alpha, (alpha.shape[1] // 2, round(rows(0.5))), (26, 38), 0, 0, 360, (255,), -1, cv2.LINE_AA)
    cv2.rectangle(
        alpha, (alpha.shape[1] // 2 - 50, round(rows(1.35))), (alpha.shape[1] // 2 + 50, round(rows(3.2))), 255, -1
    )
    small = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1.6 + (3.0 if falls.shadow_strength < 0.36 else 0.6))
    fade = np.linspace(0.35, 1.0, soft.shape[0])[:, None]
    texture = np.zeros((*soft.shape, 4), np.uint8)
    texture[:, :, 3] = to_bytes(soft * fade * falls.shadow_strength)
    down = -flat * _CARD_HEADS / HEADS
    origin = np.array([x, 0.004, z]) - down * (HEADS - CARD_TOP_HEADS) / _CARD_HEADS - across / 2
    draw_panel(canvas, camera, Panel(_metres(origin), _metres(across), _metres(down), texture))
    contact = np.zeros((32, 32, 4), np.uint8)
    grid = np.linspace(-1, 1, 32)
    radius = np.hypot(grid[None, :], grid[:, None])
    contact[:, :, 3] = to_bytes(150 * np.clip(1 - radius, 0, 1) ** 1.3)
    right = across / np.linalg.norm(across)
    forward = np.array([-right[2], 0.0, right[0]])
    corner = np.array([x, 0.005, z]) - right * 0.42 + forward * 0.20
    draw_panel(canvas, camera, Panel(_metres(corner), _metres(right * 0.84), _metres(-forward * 0.46), contact))


@lru_cache(maxsize=16)
def _shoulder(layers: Cutout, hair: Colour, falls: FigureLight) -> Pixels:
    """The near figure from behind, on its card: its own outline, hair instead of a face, dark and out of focus."""
    card = layers.body.astype(np.float32)
    if layers.photograph is not None:
        card = _from_behind(card, layers, layers.photograph, hair)
    card[:, :, :3] *= card[:, :, 3:] / np.float32(255)
    blurred = soften(card, _SOFT_SHOULDER_HEADS * PX_PER_HEAD)
    colour = blurred[:, :, :3] / np.maximum(blurred[:, :, 3:], 1) * 255
    share = np.linspace(0, 1, card.shape[1])[None, :, None]
    factors = (np.array(falls.left) * (1 - share) + np.array(falls.right) * share) * 0.5
    return np.dstack([to_bytes(colour * factors), to_bytes(blurred[:, :, 3])])


def _from_behind(card: Plane, layers: Cutout, source: Pixels, hair_colour: Colour) -> Plane:
    """The photograph's outline over the body, filled with blurred clothing, and with hair where the head is."""
    height, width = card.shape[:2]
    to_pixels = np.diag([width, height, 1.0]) @ layers.to_card
    to_unit = np.diag([1 / source.shape[1], 1 / source.shape[0], 1.0])
    placed = cv2.warpPerspective(source, to_pixels @ to_unit, (width, height), flags=cv2.INTER_AREA)
    alpha = placed[:, :, 3:].astype(np.float32) / 255
    cloth = cv2.GaussianBlur(
        card[round(rows(2.6)) : round(rows(3.6)), width // 3 : 2 * width // 3, :3], (0, 0), 9
    ).mean(axis=(0, 1))
    y = np.arange(height, dtype=np.float32)[:, None, None]
    neck = ramp(rows(0.92), rows(1.12), y)
    hair = np.array(hair_colour, np.float32) * np.float32(0.8)
    shade = 0.75 + 0.5 * placed[:, :, :3].astype(np.float32).mean(axis=2, keepdims=True) / 255
    shade = 1 + (cv2.GaussianBlur(shade, (0, 0), 6)[:, :, None] - 1) * neck
    filled = (hair * (1 - neck) + cloth * neck) * shade
    below = card[:, :, 3:] / 255
    total = alpha + below * (1 - alpha)
    colour = (filled * alpha + card[:, :, :3] * below * (1 - alpha)) / np.maximum(total, 1e-3)
    return np.asarray(np.concatenate([colour, total * 255], axis=2), np.float32)


def _metres(vector: Array) -> Metres:
    return float(vector[0]), float(vector[1]), float(vector[2])
