"""Seeded noise: the grain of every surface, cloud and film."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from previz.drawing.canvas import Plane


def generator(*parts: object) -> np.random.Generator:
    """A generator whose seed is the hash of ``parts``."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def fractal(rng: np.random.Generator, height: int, width: int, cells: int = 4, octaves: int = 5) -> Plane:
    """Tileable fractal noise, 0..1, (height, width); ``cells`` is the number of lumps across."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        count = cells << octave
        if count > min(height, width):
            break
        lattice = rng.random((count, count), np.float32)
        wrapped = np.pad(lattice, 2, mode="wrap")
        scale_x, scale_y = width / count, height / count
        large = cv2.resize(
            wrapped, (round(scale_x * (count + 4)), round(scale_y * (count + 4))), interpolation=cv2.INTER_CUBIC
        )
        left, top = round(2 * scale_x), round(2 * scale_y)
        total += large[top : top + height, left : left + width] * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)
