"""The surfaces of a room: where each is, how it is painted and lit; each is painted when it is first seen.

What a surface looks like follows from the place's name, its own number and the light alone, never from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from previz.drawing import materials
from previz.drawing.canvas import Metres, Panel, Pixels, Plane, scaled, to_bytes
from previz.drawing.illumination import Illumination, corner_shade, illuminate, lightmap
from previz.drawing.light import Light
from previz.drawing.materials import PAINTERS, Swatch
from previz.drawing.noise import generator
from previz.drawing.room import NEAR_END_M, Block, Fixture, Room
from previz.drawing.rooms import room_of
from previz.spec import LocationSpec

_WALL_PX_PER_M, _FLOOR_PX_PER_M, _CEILING_PX_PER_M, _BLOCK_PX_PER_M = 80.0, 60.0, 40.0, 90.0


@dataclass(frozen=True)
class Surface:
    """A rectangle of a room, unpainted; ``part`` is floor, ceiling, a wall's name, or the face of ``block``."""

    part: str
    origin: Metres
    across: Metres
    down: Metres
    corners: str
    block: Block | None = None

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height in metres."""
        return float(np.linalg.norm(self.across)), float(np.linalg.norm(self.down))


@lru_cache(maxsize=16)
def surfaces(room: Room) -> tuple[Surface, ...]:
    """The room's surfaces in painting order: the shell first, then its things, far ones first."""
    half, back, height = room.half_width, room.back, room.height
    length = back - NEAR_END_M
    shell = (
        Surface("floor", (-half, 0.0, back), (2 * half, 0.0, 0.0), (0.0, 0.0, -length), "lrt"),
        Surface("ceiling", (-half, height, NEAR_END_M), (2 * half, 0, 0), (0, 0, length), "lrb"),
        Surface("back", (-half, height, back), (2 * half, 0, 0), (0, -height, 0), "lrtb"),
        Surface("left", (-half, height, NEAR_END_M), (0, 0, length), (0, -height, 0), "rtb"),
        Surface("right", (half, height, back), (0, 0, -length), (0, -height, 0), "ltb"),
    )
    blocks = sorted(room.blocks, key=lambda block: -(block.z - block.depth / 2) + 0.001 * block.base)
    return (*shell, *(face for block in blocks for face in _faces(block)))


@lru_cache(maxsize=512)
def seen(location: LocationSpec, light: Light, number: int) -> Panel:
    """A surface of the place's room, painted and lit."""
    room = room_of(location)
    surface = surfaces(room)[number]
    rng = generator("set", location.name, location.kind, number)
    if surface.part == "floor":
        paint, glow, reach_px = _floor(room, surface, rng), None, _FLOOR_PX_PER_M * 0.4
    elif surface.part == "ceiling":
        paint, glow, reach_px = _ceiling(room, surface, rng), None, 18.0
    elif surface.block is not None:
        paint, glow = _face(surface, surface.block, rng)
        reach_px = 26.0
    else:
        paint, glow = _wall(room, surface, rng, _view(light))
        reach_px = _WALL_PX_PER_M * 0.45
    return Panel(
        surface.origin, surface.across, surface.down, _lit(surface, paint, glow, illuminate(room, light), reach_px)
    )


def _faces(block: Block) -> list[Surface]:
    """Top, both sides and front of a box."""
    x0, x1 = block.x - block.width / 2, block.x + block.width / 2
    z0, z1 = block.z - block.depth / 2, block.z + block.depth / 2
    y0, y1 = block.base, block.base + block.height
    foot = "b" if block.base < 0.1 else ""
    return [
        Surface("top", (x0, y1, z1), (block.width, 0, 0), (0, 0, -block.depth), "", block),
        Surface("side", (x0, y1, z1), (0, 0, -block.depth), (0, y0 - y1, 0), foot, block),
        Surface("side", (x1, y1, z0), (0, 0, block.depth), (0, y0 - y1, 0), foot, block),
        Surface("front", (x0, y1, z0), (block.width, 0, 0), (0, y0 - y1, 0), foot, block),
    ]


def _pixels(surface: Surface, px_per_m: float) -> tuple[int, int]:
    width_m, height_m = surface.size_m
    return max(6, round(width_m * px_per_m)), max(6, round(height_m * px_per_m))


def _face(surface: Surface, block: Block, rng: np.random.Generator) -> tuple[Pixels, Pixels | None]:
    width, height = _pixels(surface, _BLOCK_PX_PER_M)
    paint = materials.plaster(rng, height, width, block.colour, 0.06)
    turned = block.depth > block.width * 1.6
    if block.front not in PAINTERS or not (surface.part == "front" or (surface.part == "side" and turned)):
        return paint, None
    glow = np.zeros_like(paint)
    PAINTERS[block.front](Swatch(paint, glow, _BLOCK_PX_PER_M), rng)
    return paint, glow


def _wall(room: Room, surface: Surface, rng: np.random.Generator, sky: Pixels) -> tuple[Pixels, Pixels]:
    width, height = _pixels(surface, _WALL_PX_PER_M)
    paint = materials.plaster(rng, height, width, room.wall)
    glow = np.zeros_like(paint)
    _panelling(paint, room)
    for fixture in room.fixtures:
        if fixture.wall == surface.part:
            _fix(paint, glow, room, fixture, rng=rng, sky=sky)
    return paint, glow


def _floor(room: Room, surface: Surface, rng: np.random.Generator) -> Pixels:
    """The floor, dark under what stands on it."""
    size = _pixels(surface, _FLOOR_PX_PER_M)
    paint = materials.floor(room.floor, rng, size[1], size[0], px_per_m=_FLOOR_PX_PER_M, colour=room.floor_colour)
    shade = np.ones((size[1] // 4, size[0] // 4), np.float32)
    scale = _FLOOR_PX_PER_M / 4
    for block in room.blocks:
        if block.base < 0.1:
            x0 = round((block.x - block.width / 2 + room.half_width) * scale)
            y0 = round((room.back - block.z - block.depth / 2) * scale)
            x1, y1 = x0 + round(block.width * scale), y0 + round(block.depth * scale)
            cv2.rectangle(shade, (x0, y0), (x1, y1), (0.25,), -1)
    soft = cv2.resize(cv2.GaussianBlur(shade, (0, 0), scale * 0.12), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(paint, cv2.merge([soft, soft, soft]), dtype=cv2.CV_8U), np.uint8)


def _ceiling(room: Room, surface: Surface, rng: np.random.Generator) -> Pixels:
    width, height = _pixels(surface, _CEILING_PX_PER_M)
    paint = materials.plaster(rng, height, width, room.ceiling, 0.03)
    step = _CEILING_PX_PER_M * (1.2 if room.height < 4 else 2.4)
    for i in range(1, int(height / step) + 1):
        y = round(i * step)
        paint[y : y + 3] = to_bytes(paint[y : y + 3] * 0.7)
    return paint


def _view(light: Light) -> Pixels:
    """What a window shows: sky over a soft line of hills, brighter than the room by day. (64, 64, 3)."""
    level = 0.25 if light.is_dark_outside else 1.05
    t = np.linspace(0, 1, 64)[:, None, None]
    zenith, horizon = np.array(light.zenith) * 0.6 + np.array(light.horizon) * 0.4, np.array(light.horizon)
    view = (zenith * (1 - t) + horizon * t) * np.ones((64, 64, 1)) * level
    line = 44 + 5 * np.sin(np.arange(64) * 0.19) + 2 * np.sin(np.arange(64) * 0.63)
    ground = np.array([0.46, 0.48, 0.42]) * horizon.mean() * level
    hills = np.arange(64)[:, None] > line[None, :]
    view[hills] = view[hills] * 0.35 + ground * 0.65
    return to_bytes(view)


def _panelling(paint: Pixels, room: Room) -> None:
    height = paint.shape[0]
    row = round((room.height - 1.0) * _WALL_PX_PER_M)
    if room.wainscot is not None:
        tone = paint[row:].astype(np.float32) / np.array(room.wall, np.float32)
        paint[row:] = to_bytes(tone * np.array(room.wainscot, np.float32))
        paint[row : row + 5] = to_bytes(np.array(room.wainscot) * 1.18)
        paint[row + 5 : row + 8] = to_bytes(np.array(room.wainscot) * 0.66)
        for x in range(0, paint.shape[1], 64):
            paint[row + 14 : height - 14, x : x + 2] = to_bytes(np.array(room.wainscot) * 0.78)
    skirting = scaled(room.wainscot or room.wall, 0.62)
    paint[height - round(0.12 * _WALL_PX_PER_M) :] = to_bytes(np.array(skirting))
    paint[: round(0.06 * _WALL_PX_PER_M)] = to_bytes(np.array(scaled(room.wall, 1.12)))


def _fix(paint: Pixels, glow: Pixels, room: Room, fixture: Fixture, *, rng: np.random.Generator, sky: Pixels) -> None:
    """Paint a fixture and its soft edge of shade on the wall."""
    middle = {
        "back": fixture.along + room.half_width,
        "left": fixture.along - NEAR_END_M,
        "right": room.back - fixture.along,
    }[fixture.wall]
    x0 = max(0, round((middle - fixture.width / 2) * _WALL_PX_PER_M))
    x1 = min(paint.shape[1], round((middle + fixture.width / 2) * _WALL_PX_PER_M))
    y1 = round((room.height - fixture.bottom) * _WALL_PX_PER_M)
    y0 = max(0, round(y1 - fixture.height * _WALL_PX_PER_M))
    cv2.rectangle(paint, (x0 - 2, y0 - 2), (x1 + 3, y1 + 4), [int(c * 0.6) for c in room.wall], -1)
    swatch = Swatch(paint[y0:y1, x0:x1], glow[y0:y1, x0:x1], _WALL_PX_PER_M)
    if fixture.kind == "window":
        materials.window(swatch, sky)
        paint[y1 : y1 + 5, max(0, x0 - 6) : x1 + 6] = (206, 202, 192)
    else:
        PAINTERS[fixture.kind](swatch, rng)


def _lit(surface: Surface, paint: Pixels, glow: Pixels | None, light: Illumination, reach_px: float) -> Pixels:
    size = (paint.shape[1], paint.shape[0])
    origin, across, down = (np.array(edge) for edge in (surface.origin, surface.across, surface.down))
    factors = lightmap(light, origin, across, down, size)
    if surface.corners:
        shade = corner_shade(size, reach_px, surface.corners)
        factors *= shade[:, :, None]
    # A film's shoulder: highlights roll off instead of clipping.
    exposed: Plane = np.asarray(cv2.multiply(paint, factors, scale=-1 / 205, dtype=cv2.CV_32F), np.float32)
    rolled = cv2.exp(exposed)
    rolled = cv2.addWeighted(rolled, -255 * 1.12, rolled, 0, 255 * 1.12)
    return np.asarray(cv2.add(rolled, glow, dtype=cv2.CV_8U) if glow is not None else to_bytes(rolled), np.uint8)
