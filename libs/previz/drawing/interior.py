"""The drawn interior set: a room's panels, painted and lit once for a place and a light, seen by any camera."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing import materials
from previz.drawing.canvas import Metres, Panel, Pixels, Plane, Rgb, draw_panel, ramp, scaled, to_bytes
from previz.drawing.illumination import Illumination, corner_shade, illuminate, lightmap
from previz.drawing.light import Light
from previz.drawing.materials import PAINTERS, Swatch
from previz.drawing.noise import generator
from previz.drawing.rooms import NEAR_END_M, Block, Fixture, Room, room_of
from previz.spec import LocationSpec

_WALL_PX_PER_M, _FLOOR_PX_PER_M, _BLOCK_PX_PER_M = 80.0, 60.0, 90.0


def draw_interior(camera: Camera, location: LocationSpec, light: Light) -> Pixels:
    """The empty set from this camera, RGB."""
    room = room_of(location)
    panels, lamps = _built(location, light)
    camera = _inside(camera, room)
    canvas: Pixels = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    position = np.asarray(camera.position)
    for panel in panels:
        # A panel seen from its back is left out: the audience's side of the room is open.
        if np.dot(np.cross(panel.across, panel.down), position - panel.origin) > 0:
            draw_panel(canvas, camera, panel)
    _draw_glows(canvas, camera, room, lamps)
    return canvas


def _inside(camera: Camera, room: Room) -> Camera:
    """The camera, moved sideways into a narrow room; as on a stage, it is the wall that is cheated."""
    x, y, z = camera.position
    limit = room.half_width - 0.45
    return replace(camera, position=(min(max(x, -limit), limit), min(y, room.height - 0.1), z))


@lru_cache(maxsize=24)
def _built(location: LocationSpec, light: Light) -> tuple[tuple[Panel, ...], float]:
    """Lit panels, far ones first, and the lamps' level."""
    room = room_of(location)
    rng = generator("set", location.name, location.kind)
    illumination = illuminate(room, light)
    sky = _view(light)
    shell = _shell(room, rng, illumination, sky)
    blocks = sorted(room.blocks, key=lambda block: -(block.z - block.depth / 2) + 0.001 * block.base)
    things = [panel for block in blocks for panel in _block(block, rng, illumination)]
    fittings = [panel for lamp in room.lamps for panel in _lamp(room, lamp, light)]
    return (*shell, *things, *fittings), light.lamps


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


def _shell(room: Room, rng: np.random.Generator, illumination: Illumination, sky: Pixels) -> list[Panel]:
    half, back, height = room.half_width, room.back, room.height
    length = back - NEAR_END_M
    walls: list[tuple[str, Metres, Metres, float, str]] = [
        ("back", (-half, height, back), (2 * half, 0, 0), 2 * half, "lrtb"),
        ("left", (-half, height, NEAR_END_M), (0, 0, length), length, "rtb"),
        ("right", (half, height, back), (0, 0, -length), length, "ltb"),
    ]
    panels = [_floor(room, rng, illumination), _ceiling(room, rng, illumination)]
    for name, origin, across, width_m, sides in walls:
        size = (round(width_m * _WALL_PX_PER_M), round(height * _WALL_PX_PER_M))
        paint = materials.plaster(rng, size[1], size[0], room.wall)
        glow = np.zeros_like(paint)
        _panelling(paint, room)
        for fixture in room.fixtures:
            if fixture.wall == name:
                _fix(paint, glow, room, fixture, rng=rng, sky=sky)
        down = (0.0, -height, 0.0)
        panels.append(_lit(Panel(origin, across, down, paint), glow, illumination, _WALL_PX_PER_M * 0.45, sides))
    return panels


def _floor(room: Room, rng: np.random.Generator, illumination: Illumination) -> Panel:
    length = room.back - NEAR_END_M
    size = (round(2 * room.half_width * _FLOOR_PX_PER_M), round(length * _FLOOR_PX_PER_M))
    paint = materials.floor(room.floor, rng, size[1], size[0], px_per_m=_FLOOR_PX_PER_M, colour=room.floor_colour)
    shade = np.ones((size[1], size[0]), np.float32)
    for block in room.blocks:
        if block.base < 0.1:
            x0 = round((block.x - block.width / 2 + room.half_width) * _FLOOR_PX_PER_M)
            y0 = round((room.back - block.z - block.depth / 2) * _FLOOR_PX_PER_M)
            x1, y1 = x0 + round(block.width * _FLOOR_PX_PER_M), y0 + round(block.depth * _FLOOR_PX_PER_M)
            cv2.rectangle(shade, (x0, y0), (x1, y1), (0.25,), -1)
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), _FLOOR_PX_PER_M * 0.12), np.float32)
    panel = Panel(
        (-room.half_width, 0.0, room.back), (2 * room.half_width, 0.0, 0.0), (0.0, 0.0, -length), _times(paint, shade)
    )
    return _lit(panel, np.zeros_like(paint), illumination, _FLOOR_PX_PER_M * 0.4, "lrt")


def _ceiling(room: Room, rng: np.random.Generator, illumination: Illumination) -> Panel:
    length = room.back - NEAR_END_M
    size = (round(2 * room.half_width * 40), round(length * 40))
    paint = materials.plaster(rng, size[1], size[0], room.ceiling, 0.03)
    glow = np.zeros_like(paint)
    step = 40 * (1.2 if room.height < 4 else 2.4)
    for i in range(1, int(size[1] / step) + 1):
        y = round(i * step)
        paint[y : y + 3] = to_bytes(paint[y : y + 3] * 0.7)
    panel = Panel((-room.half_width, room.height, NEAR_END_M), (2 * room.half_width, 0, 0), (0, 0, length), paint)
    return _lit(panel, glow, illumination, 18.0, "lrb")


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


def _block(block: Block, rng: np.random.Generator, illumination: Illumination) -> list[Panel]:
    """Front, the side towards the middle, and top of a box."""
    x0, x1 = block.x - block.width / 2, block.x + block.width / 2
    z0, z1 = block.z - block.depth / 2, block.z + block.depth / 2
    y0, y1 = block.base, block.base + block.height
    faces: list[tuple[Metres, Metres, Metres, str]] = [
        ((x0, y1, z1), (block.width, 0, 0), (0, 0, -block.depth), "plain"),
        ((x0, y1, z1), (0, 0, -block.depth), (0, y0 - y1, 0), "side"),
        ((x1, y1, z0), (0, 0, block.depth), (0, y0 - y1, 0), "side"),
        ((x0, y1, z0), (block.width, 0, 0), (0, y0 - y1, 0), block.front),
    ]
    turned = block.depth > block.width * 1.6
    panels = []
    for origin, across, down, kind in faces:
        painted = block.front if kind == "side" and turned else kind
        size_m = (float(np.linalg.norm(across)), float(np.linalg.norm(down)))
        size = (max(6, round(size_m[0] * _BLOCK_PX_PER_M)), max(6, round(size_m[1] * _BLOCK_PX_PER_M)))
        paint = materials.plaster(rng, size[1], size[0], block.colour, 0.06)
        glow = np.zeros_like(paint)
        if painted in PAINTERS:
            PAINTERS[painted](Swatch(paint, glow, _BLOCK_PX_PER_M), rng)
        sides = "b" if block.base < 0.1 and kind != "plain" else ""
        panels.append(_lit(Panel(origin, across, down, paint), glow, illumination, 26.0, sides))
    return panels


def _lamp(room: Room, lamp: tuple[float, float, float], light: Light) -> list[Panel]:
    """A lamp's body as a card that faces the audience."""
    x, y, z = lamp
    level = 0.35 + 0.65 * min(1.0, light.lamps)
    shine: Rgb = tuple(min(255.0, 255 * c * level) for c in room.lamp_colour)  # type: ignore[assignment]
    if room.lamp_kind == "strip":
        tube = np.zeros((8, 8, 3), np.uint8)
        tube[:] = to_bytes(np.array(shine))
        return [Panel((x - 0.12, y, z - 0.6), (0.24, 0, 0), (0, 0, 1.2), tube)]
    width, height = 48, 44
    shade = np.zeros((height, width, 4), np.uint8)
    pale = [int(min(255, 60 + c * 0.78)) for c in shine]
    outline = np.array([(14, 2), (34, 2), (46, 42), (2, 42)], np.int32)
    cv2.fillConvexPoly(shade, outline, (*pale, 255), cv2.LINE_AA)
    shade[:, :, :3] = to_bytes(shade[:, :, :3] * ramp(-30, 44, np.arange(height, dtype=np.float32))[:, None, None])
    size = 0.44 if room.height < 5 else 0.8
    head = Panel((x - size / 2, y + size * 0.45, z), (size, 0, 0), (0, -size * 0.9, 0), shade)
    stem: Pixels = np.full((4, 4, 3), 40, np.uint8)
    if room.lamp_kind == "floor":
        bottom = next((b.base + b.height for b in room.blocks if _stands_on(b, lamp)), 0.0)
        return [Panel((x - 0.015, y, z + 0.01), (0.03, 0, 0), (0, bottom - y, 0), stem), head]
    return [Panel((x - 0.008, room.height, z + 0.01), (0.016, 0, 0), (0, y - room.height, 0), stem), head]


def _stands_on(block: Block, lamp: tuple[float, float, float]) -> bool:
    return abs(block.x - lamp[0]) <= block.width / 2 and abs(block.z - lamp[2]) <= block.depth / 2


def _draw_glows(canvas: Pixels, camera: Camera, room: Room, level: float) -> None:
    """The halo of light round each lamp, added."""
    if room.lamp_kind == "strip" or level < 0.1:
        return
    positions = [np.asarray(lamp) - camera.position for lamp in room.lamps]
    for lamp, offset in zip(room.lamps, positions, strict=True):
        if float(offset @ camera.axes[2]) < 0.3:
            continue
        pixel, depth = camera.project([lamp])
        radius = int(np.clip(0.9 * camera.focal_px / depth[0], 6, 500))
        _add_glow(
            canvas, (float(pixel[0, 0]), float(pixel[0, 1])), radius, np.array(room.lamp_colour) * 95 * min(level, 1.2)
        )


def _add_glow(canvas: Pixels, centre: tuple[float, float], radius: int, colour: Array) -> None:
    x0, x1 = max(0, int(centre[0]) - radius), min(canvas.shape[1], int(centre[0]) + radius)
    y0, y1 = max(0, int(centre[1]) - radius), min(canvas.shape[0], int(centre[1]) + radius)
    if x1 <= x0 or y1 <= y0:
        return
    x = (np.arange(x0, x1, dtype=np.float32) - np.float32(centre[0])) / radius
    y = (np.arange(y0, y1, dtype=np.float32) - np.float32(centre[1])) / radius
    falloff = np.clip(1 - (x[None, :] ** 2 + y[:, None] ** 2) ** 0.5, 0, 1) ** 2.2
    region = canvas[y0:y1, x0:x1]
    region[:] = cv2.add(region, to_bytes(falloff[:, :, None] * colour.astype(np.float32)))


def _lit(panel: Panel, glow: Pixels, illumination: Illumination, reach_px: float, sides: str) -> Panel:
    size = (panel.texture.shape[1], panel.texture.shape[0])
    factors = lightmap(illumination, np.array(panel.origin), np.array(panel.across), np.array(panel.down), size)
    factors = factors * corner_shade(size, reach_px, sides)[:, :, None]
    # A film's shoulder: highlights roll off instead of clipping.
    exposed = panel.texture.astype(np.float32) * factors
    rolled = 255 * (1 - np.exp(-exposed / 205)) * 1.12
    return Panel(panel.origin, panel.across, panel.down, to_bytes(rolled + glow))


def _times(paint: Pixels, shade: Plane) -> Pixels:
    return to_bytes(paint * shade[:, :, None])
