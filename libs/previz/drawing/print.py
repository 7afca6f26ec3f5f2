"""A photograph that keeps its background: a mounted print in the set, no person cut out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array, Camera
from previz.drawing.canvas import Metres, Panel, Pixels, Plane, draw_panel, to_bytes
from previz.drawing.cutout import Key
from previz.drawing.figure_light import FigureLight, relit
from previz.drawing.light import Light
from previz.drawing.measure import measured
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, CARD_WIDTH_HEADS, Placement

_LEAST_OF_FRAME = 0.56
"""A print is at least this high in the frame, but no higher than a person."""
_FIGURE_HEADS, _STANDING_HEADS = 7.5, 3.0
_MOUNT_SHARE = 0.035
_MOUNT = (236, 232, 222)
_LONGEST_PX = 900
_SHADOW_MARGIN = 0.12


@dataclass(frozen=True)
class _Rectangle:
    """Edges in heads: x from the figure's middle, y down from the crown."""

    left: float
    top: float
    width: float
    height: float


def is_print(matte: Pixels) -> bool:
    """Whether nothing of a photograph was cut away."""
    return bool(matte[:, :, 3].min() > 250)


def draw_print(
    canvas: Pixels,
    placement: Placement,
    matte: Pixels,
    *,
    camera: Camera,
    falls: FigureLight,
    light: Light,
    cover: Plane | None = None,
) -> None:
    """Paint the print, its face where the figure's would be; in wide shots it stands on the ground.

    ``cover`` is as in ``draw_panel``.
    """
    place = _place(matte, placement, canvas.shape[0])
    margin = _SHADOW_MARGIN * place.height
    shade = _Rectangle(
        place.left - margin, place.top - 0.8 * margin, place.width + 2 * margin, place.height + 2 * margin
    )
    draw_panel(canvas, camera, _panel(placement, shade, _shadow(shade, margin)))
    lit = relit(_mounted(Key(matte)), falls, replace(light, rim=0.0), 0.0, np.eye(3))
    draw_panel(canvas, camera, _panel(placement, place, lit), cover=cover)


def _place(matte: Pixels, placement: Placement, frame_px: int) -> _Rectangle:
    measure = measured(matte, placement.figure.face_box)
    height, width = matte.shape[0] / measure.head, matte.shape[1] / measure.head
    wanted = min(_FIGURE_HEADS, max(height, _LEAST_OF_FRAME * frame_px / placement.head_px))
    larger = wanted / height
    top = 0.5 + (measure.y_heads(0) - 0.5) * larger
    if wanted > _STANDING_HEADS:
        top = _FIGURE_HEADS - wanted
    return _Rectangle(measure.x_heads(0) * larger, top, width * larger, wanted)


def _panel(placement: Placement, place: _Rectangle, texture: Pixels) -> Panel:
    """A texture on the figure's card."""
    across, down = np.array(placement.across), np.array(placement.down)
    height = CARD_BOTTOM_HEADS - CARD_TOP_HEADS
    left, top = place.left / CARD_WIDTH_HEADS + 0.5, (place.top - CARD_TOP_HEADS) / height
    origin = np.array(placement.origin) + across * left + down * top
    size = (across * (place.width / CARD_WIDTH_HEADS), down * (place.height / height))
    return Panel(_metres(origin), _metres(size[0]), _metres(size[1]), texture)


@lru_cache(maxsize=8)
def _mounted(key: Key) -> Pixels:
    """The photograph in its mount, RGBA."""
    photograph = key.pixels[:, :, :3]
    factor = min(1.0, _LONGEST_PX / max(photograph.shape[:2]))
    small = cv2.resize(photograph, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    border = max(1, round(_MOUNT_SHARE * min(small.shape[:2])))
    # The mount lies over the photograph's edge: the face stays where it was.
    small[:border], small[-border:] = _MOUNT, _MOUNT
    small[:, :border], small[:, -border:] = _MOUNT, _MOUNT
    return np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])


def _shadow(shade: _Rectangle, margin: float) -> Pixels:
    """A soft dark rectangle, RGBA, that fades out over ``margin`` heads."""
    size = (96, max(8, round(96 * shade.width / shade.height)))
    edge = max(1, round(96 * margin / shade.height))
    texture = np.zeros((*size, 4), np.uint8)
    texture[edge:-edge, edge:-edge, 3] = 150
    texture[:, :, 3] = to_bytes(cv2.GaussianBlur(texture[:, :, 3], (0, 0), edge / 2.2))
    return texture


def _metres(vector: Array) -> Metres:
    return float(vector[0]), float(vector[1]), float(vector[2])
