"""Outdoor things as textures: straight-alpha RGBA cards, before any light."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, Rgb, ramp, to_bytes
from previz.drawing.noise import fractal, generator

_PX = 256


@lru_cache(maxsize=64)
def card(kind: str, variety: int) -> Pixels:
    """The texture of a prop; the same kind and variety always look the same."""
    rng = generator("prop", kind, variety)
    painters = {"tree": _tree, "pine": _pine, "rock": _rock, "rocket": _rocket, "gantry": _gantry}
    painters |= {"mast": _mast, "lamp": _street_lamp, "fence": _fence, "tank": _tank}
    return painters[kind](rng)


def facade(variety: int, lit: float) -> tuple[Pixels, Pixels]:
    """A house front and what of it shines (RGB each); ``lit`` is the share of lit windows."""
    rng = generator("facade", variety)
    base = np.array([(150, 128, 112), (132, 132, 134), (166, 152, 132), (124, 108, 100), (146, 146, 142)][variety % 5])
    paint = to_bytes(base * (0.94 + 0.12 * fractal(rng, _PX, _PX, 6, 5)[:, :, None]))
    glow = np.zeros_like(paint)
    rows, columns = 6, 5
    for row in range(rows):
        for column in range(columns):
            x0, y0 = int((column + 0.24) * _PX / columns), int((row + 0.2) * _PX / rows)
            x1, y1 = int((column + 0.76) * _PX / columns), int((row + 0.78) * _PX / rows)
            cv2.rectangle(paint, (x0 - 2, y0 - 2), (x1 + 2, y1 + 3), [int(c) for c in base * 1.18], -1)
            cv2.rectangle(paint, (x0, y0), (x1, y1), (52, 60, 70), -1)
            paint[(y0 + y1) // 2, x0:x1] = 90
            if rng.random() < lit:
                warm = 150 + 90 * rng.random()
                cv2.rectangle(glow, (x0, y0), (x1, y1), (int(warm), int(warm * 0.74), int(warm * 0.42)), -1)
    return paint, glow


def _blank(width: int = _PX, height: int = _PX) -> Pixels:
    return np.zeros((height, width, 4), np.uint8)


def _tree(rng: np.random.Generator) -> Pixels:
    texture = _blank()
    cv2.fillPoly(texture, [np.array([(120, 256), (123, 140), (133, 140), (138, 256)])], (78, 62, 50, 255), cv2.LINE_AA)
    clumps = [(rng.normal(128, 40), rng.normal(92, 30), rng.uniform(20, 40)) for _ in range(60)]
    for x, y, radius in sorted(clumps, key=lambda clump: -clump[1]):
        shade = 0.62 + 0.42 * (1 - y / 170) + 0.10 * rng.random()
        colour = [int(c * shade) for c in (96, 112, 62)]
        centre = (int(np.clip(x, 40, 216)), int(np.clip(y, 40, 160)))
        cv2.circle(texture, centre, int(radius * 0.62), (*colour, 255), -1, cv2.LINE_AA)
    return _leafy(texture, rng)


def _pine(rng: np.random.Generator) -> Pixels:
    texture = _blank()
    cv2.rectangle(texture, (123, 210), (133, 256), (72, 56, 44, 255), -1)
    for tier in range(11):
        y = 8 + tier * 20
        half = 10 + tier * 9.5 + rng.uniform(-5, 5)
        shade = 0.72 + 0.30 * (1 - tier / 11)
        colour = [int(c * shade) for c in (62, 84, 60)]
        points = [
            (128, y - 8),
            (128 + half, y + 32),
            (128 + half * 0.4, y + 26),
            (128, y + 34),
            (128 - half * 0.4, y + 26),
            (128 - half, y + 32),
        ]
        cv2.fillPoly(texture, [np.array(points, np.float32).astype(np.int32)], (*colour, 255), cv2.LINE_AA)
    return _leafy(texture, rng)


def _leafy(texture: Pixels, rng: np.random.Generator) -> Pixels:
    """Ragged edges and dapple."""
    grain = fractal(rng, _PX, _PX, 16, 4)
    shift = (grain - 0.5) * 22
    y, x = np.mgrid[0:_PX, 0:_PX].astype(np.float32)
    ragged = cv2.remap(texture, x + shift, y + np.roll(shift, 40, axis=1), cv2.INTER_LINEAR)
    ragged[:, :, :3] = to_bytes(ragged[:, :, :3] * (0.72 + 0.56 * grain[:, :, None]))
    return np.asarray(ragged, np.uint8)


def _rock(rng: np.random.Generator) -> Pixels:
    texture = _blank()
    angles = np.linspace(np.pi, 2 * np.pi, 15)
    radius = rng.uniform(0.78, 1.0, 15)
    points = np.stack([128 + 124 * radius * np.cos(angles), 254 + 250 * radius * np.sin(angles)], axis=1)
    cv2.fillPoly(texture, [points.astype(np.int32)], (138, 124, 108, 255), cv2.LINE_AA)
    grain = fractal(rng, _PX, _PX, 5, 6)
    texture[:, :, :3] = to_bytes(texture[:, :, :3] * (0.62 + 0.7 * grain[:, :, None]))
    return texture


def _round_body(width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Shading across a cylinder, (width,)."""
    x = np.linspace(-1, 1, width, dtype=np.float32)
    return np.asarray(0.52 + 0.55 * np.sqrt(np.clip(1 - (x + 0.25) ** 2 / 1.7, 0, 1)), np.float32)


def _rocket(rng: np.random.Generator) -> Pixels:
    """A launcher: a core with a tapered nose and two boosters."""
    texture = _blank(192, 768)
    for centre, half, top, bottom, nose, colour in (
        (96, 27, 8, 742, 96, (222, 132, 74)),
        (46, 15, 150, 752, 46, (228, 228, 224)),
        (146, 15, 150, 752, 46, (228, 228, 224)),
    ):
        outline = [(centre - half, bottom), (centre - half, top + nose)]
        outline += [(centre - half + half * t, top + nose * (1 - t) ** 0.55) for t in np.linspace(0, 1, 9)]
        outline += [(centre + half * t, top + nose * t**0.55) for t in np.linspace(0, 1, 9)]
        outline += [(centre + half, bottom)]
        cv2.fillPoly(texture, [np.array(outline, np.float32).astype(np.int32)], (*colour, 255), cv2.LINE_AA)
        body = texture[:, centre - half : centre + half + 1, :3]
        body[:] = to_bytes(body * _round_body(2 * half + 1)[None, :, None])
    texture[300:308, 70:123, :3] //= 2
    texture[520:526, 31:162, :3] //= 2
    return texture


def _gantry(rng: np.random.Generator) -> Pixels:
    """A steel tower with cross braces and swing arms."""
    texture = _blank(192, 768)
    steel: Rgb = (118, 98, 92)
    ink = (*[int(c) for c in steel], 255)
    for x in (70, 122):
        cv2.line(texture, (x, 10), (x, 768), ink, 6, cv2.LINE_AA)
    for i in range(16):
        y = 12 + i * 48
        cv2.line(texture, (70, y), (122, y), ink, 5, cv2.LINE_AA)
        cv2.line(texture, (70, y), (122, y + 48), ink, 2, cv2.LINE_AA)
        cv2.line(texture, (122, y), (70, y + 48), ink, 2, cv2.LINE_AA)
    for y in (190, 330, 480):
        cv2.rectangle(texture, (0, y), (70, y + 8), ink, -1)
        cv2.line(texture, (6, y + 22), (70, y + 22), ink, 2, cv2.LINE_AA)
    cv2.line(texture, (96, 0), (96, 20), ink, 3, cv2.LINE_AA)
    return texture


def _mast(rng: np.random.Generator) -> Pixels:
    texture = _blank(32, 768)
    cv2.fillPoly(texture, [np.array([(15, 0), (17, 0), (24, 768), (8, 768)])], (150, 150, 150, 255), cv2.LINE_AA)
    return texture


def _street_lamp(rng: np.random.Generator) -> Pixels:
    texture = _blank(64, 384)
    cv2.line(texture, (32, 384), (32, 22), (64, 66, 70, 255), 4, cv2.LINE_AA)
    cv2.line(texture, (32, 24), (52, 14), (64, 66, 70, 255), 4, cv2.LINE_AA)
    cv2.ellipse(texture, (52, 17), (10, 5), 0, 0, 360, (255, 236, 190, 255), -1, cv2.LINE_AA)
    return texture


def _fence(rng: np.random.Generator) -> Pixels:
    texture = _blank(512, 64)
    for x in range(4, 512, 42):
        cv2.line(texture, (x, 0), (x, 64), (104, 106, 108, 255), 2, cv2.LINE_AA)
    for y in (6, 62):
        cv2.line(texture, (0, y), (512, y), (104, 106, 108, 200), 1, cv2.LINE_AA)
    mesh = texture[6:62]
    mesh[mesh[:, :, 3] == 0] = (120, 122, 124, 60)
    return texture


def _tank(rng: np.random.Generator) -> Pixels:
    texture = _blank()
    for x in (60, 128, 196):
        cv2.line(texture, (x, 150), (x, 256), (128, 128, 126, 255), 7, cv2.LINE_AA)
    cv2.circle(texture, (128, 108), 100, (224, 224, 220, 255), -1, cv2.LINE_AA)
    y, x = np.mgrid[0:_PX, 0:_PX].astype(np.float32)
    shade = 1.04 - 0.5 * ramp(-60, 130, (x - 100) * 0.5 + (y - 90) * 0.8)
    texture[:, :, :3] = to_bytes(texture[:, :, :3] * shade[:, :, None])
    return texture
