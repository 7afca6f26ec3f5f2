"""The insert's foreground: a table top with what lies on it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing import materials
from previz.drawing.canvas import Panel, Pixels, draw_panel, to_bytes
from previz.drawing.figure_light import figure_light
from previz.drawing.light import Light
from previz.drawing.materials import Swatch
from previz.drawing.noise import generator
from previz.drawing.still_life import still_life
from previz.layout import TABLE_M, Layout
from previz.spec import FrameSpec

_WIDTH_M, _DEPTH_M, _FAR_EDGE_Z = 1.5, 0.62, -0.20
_PX_PER_M = 640
_DEVICE_WORDS = (
    "screen",
    "monitor",
    "display",
    "panel",
    "console",
    "switch",
    "button",
    "control",
    "dial",
    "lever",
    "gauge",
)


def draw_tabletop(canvas: Pixels, layout: Layout, spec: FrameSpec, light: Light) -> None:
    """Paint the table before the figure's place, with what the words name: a thing, papers or a control panel."""
    camera = layout.camera
    words = spec.description.lower()
    thing = still_life(words)
    kind = "still life" if thing else "device" if any(word in words for word in _DEVICE_WORDS) else "papers"
    top, glow = _table(spec.location.name, kind)
    falls = figure_light(spec, light)
    share = np.linspace(0, 1, top.shape[1], dtype=np.float32)[None, :, None]
    left, far = np.array(falls.left, np.float32), np.array(falls.right, np.float32)
    lit = to_bytes(top * ((left * (1 - share) + far * share) * np.float32(0.95)) + glow)
    forward = np.array([np.sin(camera.pan), 0.0, np.cos(camera.pan)])
    right = np.array([np.cos(camera.pan), 0.0, -np.sin(camera.pan)])
    middle = np.asarray(layout.placements[0].foot) if layout.placements else np.zeros(3)
    corner = middle - right * (_WIDTH_M / 2) + forward * _FAR_EDGE_Z + np.array([0.0, TABLE_M, 0.0])
    across, down = right * _WIDTH_M, -forward * _DEPTH_M
    draw_panel(canvas, camera, Panel(_metres(corner), _metres(across), _metres(down), lit))
    if thing is not None:
        near = corner + across / 2 + down * 0.5
        side = thing.side_m * right
        card = np.dstack([to_bytes(thing.card[:, :, :3] * ((left + far) / 2)), thing.card[:, :, 3]])
        rise = np.array([0.0, thing.side_m, 0.0]) if thing.stands else forward * thing.side_m
        draw_panel(canvas, camera, _shade(near, side, forward * thing.side_m * (0.6 if thing.stands else 1.0)))
        start = near - side / 2 + (rise if thing.stands else rise / 2 + np.array([0.0, 0.002, 0.0]))
        draw_panel(canvas, camera, Panel(_metres(start), _metres(side), _metres(-rise), card))
    edge: Pixels = np.zeros((8, 64, 3), np.uint8)
    edge[:] = to_bytes(np.array((70, 50, 36)) * (left + far) / 2)
    draw_panel(canvas, camera, Panel(_metres(corner + down), _metres(across), (0.0, -0.05, 0.0), edge))


@lru_cache(maxsize=8)
def _table(place: str, kind: str) -> tuple[Pixels, Pixels]:
    """The table's paint, and what of it shines."""
    rng = generator("table", place)
    size = (round(_WIDTH_M * _PX_PER_M), round(_DEPTH_M * _PX_PER_M))
    top = materials.floor("boards", rng, size[1], size[0], px_per_m=_PX_PER_M * 1.4, colour=(118, 84, 58))
    glow = np.zeros_like(top)
    if kind == "device":
        _device(top, glow, rng)
    elif kind == "papers":
        _papers(top, rng)
    return top, glow


def _shade(middle: Array, across: Array, deep: Array) -> Panel:
    """The dark under a thing on the table."""
    shade = np.zeros((48, 48, 4), np.uint8)
    cv2.ellipse(shade, (24, 24), (17, 17), 0, 0, 360, (0, 0, 0, 150), -1)
    shade[:, :, 3] = cv2.GaussianBlur(shade[:, :, 3], (0, 0), 4)
    corner = middle - across * 0.8 + deep * 0.7
    return Panel(_metres(corner), _metres(across * 1.6), _metres(-deep * 1.4), shade)


def _papers(top: Pixels, rng: np.random.Generator) -> None:
    """Sheets with writing and a plan, and a pencil."""
    for x, y, angle, tone in ((330, 150, -9, 224), (520, 175, 6, 238), (690, 120, 17, 230)):
        _sheet(top, (x, y), angle, tone, rng)
    cv2.line(top, (555, 350), (740, 282), (58, 44, 36), 9, cv2.LINE_AA)
    cv2.line(top, (555, 348), (730, 284), (214, 160, 62), 6, cv2.LINE_AA)


def _sheet(top: Pixels, centre: tuple[int, int], angle: float, tone: int, rng: np.random.Generator) -> None:
    sheet = np.zeros((200, 280, 3), np.uint8)
    sheet[:] = (tone, tone - 4, tone - 18)
    for row in range(11):
        end = int(120 + 130 * rng.random())
        cv2.line(sheet, (22, 24 + row * 15), (end, 24 + row * 15), (86, 88, 96), 2, cv2.LINE_AA)
    cv2.circle(sheet, (212, 142), 38, (90, 104, 130), 2, cv2.LINE_AA)
    cv2.line(sheet, (160, 142), (266, 142), (90, 104, 130), 1, cv2.LINE_AA)
    matrix = cv2.getRotationMatrix2D((140, 100), angle, 1.0)
    matrix = matrix + np.array([[0, 0, centre[0] - 140], [0, 0, centre[1] - 100]])
    size = (top.shape[1], top.shape[0])
    cover = cv2.warpAffine(np.full(sheet.shape[:2], 255, np.uint8), matrix, size)
    shadow = cv2.GaussianBlur(np.roll(cover, (5, 4), (0, 1)), (0, 0), 5).astype(np.float32)[:, :, None] / 255
    top[:] = to_bytes(top * (1 - 0.4 * shadow))
    weight = cover.astype(np.float32)[:, :, None] / 255
    top[:] = to_bytes(top * (1 - weight) + cv2.warpAffine(sheet, matrix, size) * weight)


def _device(top: Pixels, glow: Pixels, rng: np.random.Generator) -> None:
    """A control panel let into the table: a screen, keys and dials."""
    area = (slice(20, top.shape[0] - 16), slice(170, top.shape[1] - 170))
    top[area] = (74, 80, 86)
    swatch = Swatch(top[area], glow[area], _PX_PER_M)
    materials.console(swatch, rng)
    screen = (slice(40, 200), slice(540, top.shape[1] - 190))
    materials.screen(Swatch(top[screen], glow[screen], _PX_PER_M), rng)
    for x in range(230, 520, 72):
        cv2.circle(top, (x, 312), 25, (34, 36, 40), -1, cv2.LINE_AA)
        cv2.circle(top, (x - 2, 309), 21, (150, 152, 154), -1, cv2.LINE_AA)
        angle = rng.uniform(-2.4, -0.7)
        cv2.line(
            top,
            (x - 2, 309),
            (int(x + 19 * np.cos(angle)), int(309 + 19 * np.sin(angle))),
            (200, 60, 44),
            4,
            cv2.LINE_AA,
        )


def _metres(vector: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
