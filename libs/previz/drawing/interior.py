"""The drawn interior set: a room's surfaces and lamps, seen by any camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing.canvas import Panel, Pixels, Rgb, draw_panel, is_in_frame, ramp, to_bytes
from previz.drawing.light import Light
from previz.drawing.room import Block, Room
from previz.drawing.rooms import room_of
from previz.drawing.surfaces import seen, surfaces
from previz.spec import LocationSpec


def draw_interior(camera: Camera, location: LocationSpec, light: Light) -> Pixels:
    """The empty set from this camera, RGB."""
    room = room_of(location)
    camera = _inside(camera, room)
    canvas: Pixels = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    position = np.asarray(camera.position)
    for number, surface in enumerate(surfaces(room)):
        # A surface seen from its back is left out: the audience's side of the room is open.
        faces_camera = np.dot(np.cross(surface.across, surface.down), position - surface.origin) > 0
        if faces_camera and is_in_frame(camera, surface.origin, surface.across, surface.down):
            draw_panel(canvas, camera, seen(location, light, number))
    for lamp in room.lamps:
        for panel in _lamp(room, lamp, light):
            if np.dot(np.cross(panel.across, panel.down), position - panel.origin) > 0:
                draw_panel(canvas, camera, panel)
    _draw_glows(canvas, camera, room, light.lamps)
    return canvas


def _inside(camera: Camera, room: Room) -> Camera:
    """The camera, moved sideways into a narrow room; as on a stage, it is the wall that is cheated."""
    x, y, z = camera.position
    limit = room.half_width - 0.45
    return replace(camera, position=(min(max(x, -limit), limit), min(y, room.height - 0.1), z))


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
