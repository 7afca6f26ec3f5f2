"""Figures on the set: body and photograph on one card, in the light of the place, edged by what shines behind them."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.canvas import Metres, Panel, Pixels, Plane, draw_panel, soften, to_bytes
from previz.drawing.cutout import Cutout, cutout
from previz.drawing.exterior import haze_share, is_wet
from previz.drawing.figure_light import FigureLight, figure_light, relit
from previz.drawing.light import Light
from previz.drawing.print import draw_print, is_print
from previz.drawing.shadow import draw_reflection, draw_shadow
from previz.drawing.shoulder import from_behind
from previz.layout import Layout, Placement
from previz.spec import FrameSpec

_WRAP_STEP = 4
_WRAP_STRENGTH = 0.42


def draw_figure(
    canvas: Pixels, layout: Layout, placement: Placement, matte: Pixels | None, *, spec: FrameSpec, light: Light
) -> Plane:
    """Paint one figure; return how much of each pixel it hides, float32 (height, width), 0..1, shadows left out."""
    camera = layout.camera
    cover: Plane = np.zeros(canvas.shape[:2], np.float32)
    behind = placement.role == "shoulder"
    falls = figure_light(spec, light)
    if matte is not None and is_print(matte):
        if placement.role == "subject":
            draw_print(canvas, placement, matte, camera=camera, falls=falls, light=light, cover=cover)
            return cover
        matte = None
    layers = cutout(placement.figure, matte, float(np.sign(light.key_side)), "back" if behind else "face")
    if behind:
        card = from_behind(layers, placement.figure.hair, falls, light)
        draw_panel(canvas, camera, Panel(placement.origin, placement.across, placement.down, card), cover=cover)
        return cover
    air = haze_share(light, placement.depth_m) if spec.location.type == "exterior" else 0.0
    body, photograph = _lit_layers(layers, falls, light, round(air * 64))
    if spec.location.type == "exterior" and is_wet(spec.weather):
        draw_reflection(canvas, camera, placement, body)
    draw_shadow(canvas, camera, placement, layers.body, falls)
    around = _around(canvas)
    draw_panel(canvas, camera, Panel(placement.origin, placement.across, placement.down, body), cover=cover)
    if photograph is not None:
        (width, _, left), (_, height, top), _ = layers.to_card
        across, down = np.array(placement.across), np.array(placement.down)
        origin = placement.origin + left * across + top * down
        panel = Panel(_metres(origin), _metres(width * across), _metres(height * down), photograph)
        draw_panel(canvas, camera, panel, cv2.INTER_CUBIC, cover=cover)
    _wrap(canvas, around, cover, placement.head_px)
    return cover


@lru_cache(maxsize=24)
def _lit_layers(layers: Cutout, falls: FigureLight, light: Light, air_64ths: int) -> tuple[Pixels, Pixels | None]:
    """Body and photograph in the light of the place."""
    body = relit(layers.body, falls, light, air_64ths / 64, np.eye(3))
    if layers.photograph is None:
        return body, None
    return body, relit(layers.photograph, falls, light, air_64ths / 64, layers.to_card)


def _around(canvas: Pixels) -> Pixels:
    """What is behind a figure, small and very soft."""
    size = (canvas.shape[1] // _WRAP_STEP, canvas.shape[0] // _WRAP_STEP)
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(soften(small, 0.09 * small.shape[1]), np.uint8)


def _wrap(canvas: Pixels, around: Pixels, cover: Plane, head_px: float) -> None:
    """Let the light behind a figure spill over its edge, as a lens does."""
    small = cv2.resize(cover, (around.shape[1], around.shape[0]), interpolation=cv2.INTER_AREA)
    reach = float(np.clip(0.05 * head_px, 2.0, 14.0)) / _WRAP_STEP
    edge = small * (1 - cv2.GaussianBlur(small, (0, 0), max(0.6, reach)))
    spill = to_bytes(around * (edge[:, :, None] * np.float32(_WRAP_STRENGTH)))
    whole = cv2.resize(spill, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_LINEAR)
    canvas[:] = cv2.add(canvas, whole)


def _metres(vector: Array) -> Metres:
    return float(vector[0]), float(vector[1]), float(vector[2])
