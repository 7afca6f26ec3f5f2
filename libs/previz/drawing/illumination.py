"""How much light falls on the surfaces of a room: window light, a pool of sun, lamps, and the shade in corners."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.canvas import Plane
from previz.drawing.light import Light
from previz.drawing.room import Fixture, Room


@dataclass(frozen=True)
class Source:
    """A light: position, colour and strength at one metre, reach in metres, and the way it faces, if it does."""

    position: Array
    colour: Array
    reach_m: float
    facing: Array | None = None


@dataclass(frozen=True)
class Illumination:
    """The light of a room."""

    room: Room
    ambient: Array
    sources: tuple[Source, ...]
    sun: Array
    to_sun: Array

    def on(self, points: Array, normal: Array) -> Plane:
        """Factors (n, 3) for an albedo at ``points`` (n, 3) of a plane that faces ``normal``."""
        total = np.broadcast_to(self.ambient, points.shape).copy()
        total *= 0.82 + 0.18 * (normal @ np.array([-0.5, 0.6, -0.6]))
        for source in self.sources:
            away = source.position - points
            distance = np.linalg.norm(away, axis=1) + 1e-6
            facing = np.clip(away @ normal / distance, 0.0, 1.0) * 0.8 + 0.2 * (away @ normal > 0)
            if source.facing is not None:
                facing = facing * (0.25 + 0.75 * np.clip(-(away @ source.facing) / distance, 0.0, 1.0))
            total += (facing / (1.0 + (distance / source.reach_m) ** 2))[:, None] * source.colour
        facing_sun = max(0.0, float(normal @ self.to_sun))
        if facing_sun > 0.02 and self.sun.max() > 0.02:
            total += (self._sunlit(points) * facing_sun)[:, None] * self.sun
        return np.asarray(total, np.float32)

    def _sunlit(self, points: Array) -> Array:
        """1 where the sun reaches a point through a window of the left wall, bars included."""
        lit = np.zeros(len(points))
        steps = (-self.room.half_width - points[:, 0]) / self.to_sun[0]
        y, z = points[:, 1] + steps * self.to_sun[1], points[:, 2] + steps * self.to_sun[2]
        for opening in _windows(self.room, "left"):
            u = (z - opening.along) / opening.width + 0.5
            v = (y - opening.bottom) / opening.height
            inside = (u > 0.05) & (u < 0.95) & (v > 0.05) & (v < 0.95)
            bars = (np.abs(u - 0.5) < 0.025) | (np.abs(v - 1 / 3) < 0.02) | (np.abs(v - 2 / 3) < 0.02)
            lit[inside & ~bars & (steps > 0)] = 1.0
        return lit


def illuminate(room: Room, light: Light) -> Illumination:
    """The light of a room at this time and weather."""
    fill, key = np.array(light.fill), np.array(light.key)
    day = light.ambient
    sources = []
    for opening in (*_windows(room, "left"), *_windows(room, "back")):
        left = opening.wall == "left"
        middle = opening.bottom + opening.height * 0.6
        position = (-room.half_width + 0.1, middle, opening.along) if left else (opening.along, middle, room.back - 0.1)
        strength = day * 1.15 * (opening.width * opening.height / 2.4) ** 0.5
        facing = np.array([1.0, -0.1, 0.0] if left else [0.0, -0.1, -1.0])
        sources.append(Source(np.array(position), (fill * 0.45 + key * 0.55) * strength, 1.9, facing))
    for lamp in room.lamps:
        strength = light.lamps * (0.75 if room.lamp_kind == "strip" else 1.35)
        reach = 1.7 if room.height < 4 else 2.8
        sources.append(Source(np.array(lamp) - (0, 0.15, 0), np.array(room.lamp_colour) * strength, reach))
    for opening in room.fixtures:
        if opening.kind == "screen" and opening.wall == "back":
            position = (opening.along, opening.bottom + opening.height / 2, room.back - 0.3)
            sources.append(
                Source(np.array(position), np.array((0.35, 0.72, 0.85)) * 0.45, 1.6, np.array([0.0, 0.0, -1.0]))
            )
    strips = 0.30 * light.lamps if room.lamp_kind == "strip" else 0.05 * light.lamps
    windowless = 0.30 if not _windows(room, "left") else 0.0
    ambient = (fill * 0.6 + key * 0.4) * (0.13 + 0.50 * day) + np.array(room.lamp_colour) * (
        strips + windowless * max(light.lamps, 0.5)
    )
    ambient *= 1.0 - 0.35 * light.contrast
    height = max(0.35, light.key_height)
    to_sun = np.array([-1.0, 0.55 + height * 0.9, -0.22])
    return Illumination(room, ambient, tuple(sources), key * light.sun * 1.5, to_sun / np.linalg.norm(to_sun))


def lightmap(light: Illumination, origin: Array, across: Array, down: Array, size: tuple[int, int]) -> Plane:
    """Factors (height, width, 3) over a panel, computed on a coarse grid; ``size`` is (width, height)."""
    width, height = size
    # Only the edges of a pool of sun need detail.
    step = 5 if light.sun.max() > 0.02 else 10
    columns, rows = max(2, width // step), max(2, height // step)
    s, t = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    points = origin + s.reshape(-1, 1) * across + t.reshape(-1, 1) * down
    normal = np.cross(across, down)
    normal = normal / np.linalg.norm(normal)
    small = light.on(points, normal).reshape(rows, columns, 3)
    smooth = cv2.GaussianBlur(small, (0, 0), 0.8)
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR), np.float32)


def corner_shade(size: tuple[int, int], reach_px: float, sides: str) -> Plane:
    """Factors (height, width) that darken towards the named sides (l, r, t, b), as corners between walls are."""
    width, height = size
    x, y = np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
    shade = np.ones((height, width), np.float32)
    for side, distance in (("l", x), ("r", width - x), ("t", y[:, None]), ("b", height - y[:, None])):
        if side in sides:
            shade *= 1 - np.float32(0.42) * np.exp(-distance / np.float32(reach_px))
    return shade


def _windows(room: Room, wall: str) -> list[Fixture]:
    return [fixture for fixture in room.fixtures if fixture.kind == "window" and fixture.wall == wall]
