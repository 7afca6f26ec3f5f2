"""The composer: one call from specification and arrays to a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from previz.camera import Camera
from previz.drawing.canvas import Pixels, Plane, as_pixels, soften, to_bytes
from previz.drawing.exterior import draw_exterior
from previz.drawing.figure import draw_figure
from previz.drawing.figure_light import plate_light
from previz.drawing.grade import grade, look_of
from previz.drawing.interior import draw_interior
from previz.drawing.light import Light, light_of
from previz.drawing.plate import draw_plate
from previz.drawing.styles import stylise
from previz.drawing.tabletop import draw_tabletop
from previz.drawing.weather import draw_weather
from previz.errors import InvalidPixels
from previz.layout import Layout, solve
from previz.spec import FrameSpec

STAGES = ("layout", "set", "figures", "grade")
"""What ``on_stage`` is told, in this order, when each is done."""

StageListener = Callable[[str, int, int, Pixels | None], None]
"""Takes the stage's name, its number from 1, the number of stages, and the picture so far (RGB) where there is one."""

_BACKGROUND_M = 6.0
_HALF_SIZE_BLUR_PX = 7.0
_MIN_SIDE_PX, _MAX_SIDE_PX = 8, 8192


def compose(
    spec: FrameSpec,
    mattes: Sequence[npt.NDArray[np.uint8] | None] = (),
    plate: npt.NDArray[np.uint8] | None = None,
    on_stage: StageListener | None = None,
) -> Pixels:
    """Draw a frame, RGB uint8 (height, width, 3); equal arguments give equal bytes on one machine.

    ``mattes`` holds an RGBA cut-out (straight alpha) or ``None`` for each of the specification's figures, or is empty;
    ``plate`` is an RGB photograph of the place. ``on_stage`` may raise to stop. Raises ``InvalidPixels``.
    """
    return compose_with_masks(spec, mattes, plate, on_stage)[0]


def compose_with_masks(
    spec: FrameSpec,
    mattes: Sequence[npt.NDArray[np.uint8] | None] = (),
    plate: npt.NDArray[np.uint8] | None = None,
    on_stage: StageListener | None = None,
) -> tuple[Pixels, Pixels]:
    """Draw a frame as ``compose`` does, and say where in it each figure is seen.

    The masks are uint8 (figures, height, width) in the specification's order, 255 where a figure alone is seen, without
    what nearer ones hide; all 0 for one whose face the shot does not show.
    """
    _check(spec, mattes, plate)
    cv2.setNumThreads(1)
    report = on_stage or _unheard
    layout = solve(spec)
    light = light_of(spec)
    report(STAGES[0], 1, len(STAGES), None)
    canvas = _set(spec, layout, light, plate)
    report(STAGES[1], 2, len(STAGES), canvas)
    canvas, masks = _figures(canvas, spec, layout, light, mattes)
    report(STAGES[2], 3, len(STAGES), canvas)
    graded = grade(canvas, look_of(spec), light, spec.seed)
    frame = stylise(graded, spec.style, spec.seed, is_interior=spec.location.type == "interior")
    report(STAGES[3], 4, len(STAGES), frame)
    return frame, masks


def _set(spec: FrameSpec, layout: Layout, light: Light, plate: Pixels | None) -> Pixels:
    """The background, out of focus as the lens has it; drawn at half the size where nobody can see it."""
    camera = layout.camera
    far = layout.focus_m + (_BACKGROUND_M if spec.location.type == "interior" else 40.0)
    blur = min(0.035 * spec.width_px, camera.blur_px(far, layout.focus_m, layout.f_number))
    if blur < _HALF_SIZE_BLUR_PX:
        return as_pixels(soften(_drawn(spec, camera, light, plate), blur))
    size = (camera.width_px, camera.height_px)
    half = replace(camera, width_px=size[0] // 2, height_px=size[1] // 2)
    small = soften(_drawn(spec, half, light, plate), blur / 2)
    return as_pixels(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))


def _drawn(spec: FrameSpec, camera: Camera, light: Light, plate: Pixels | None) -> Pixels:
    if plate is not None:
        return draw_plate(camera, plate, plate_light(spec, light))
    if spec.location.type == "interior":
        return draw_interior(camera, spec.location, light)
    return draw_exterior(camera, spec.location, light, spec.weather)


def _figures(
    canvas: Pixels, spec: FrameSpec, layout: Layout, light: Light, mattes: Sequence[Pixels | None]
) -> tuple[Pixels, Pixels]:
    seen: Plane = np.zeros((len(spec.figures), *canvas.shape[:2]), np.float32)
    for placement in layout.placements:
        matte = mattes[placement.index] if 0 <= placement.index < len(mattes) else None
        cover = draw_figure(canvas, layout, placement, matte, spec=spec, light=light)
        seen *= 1 - cover
        if placement.role == "subject":
            seen[placement.index] = cover
    if spec.shot_type == "insert":
        canvas = as_pixels(soften(canvas, 0.014 * spec.width_px))
        draw_tabletop(canvas, layout, spec, light)
    if spec.location.type == "exterior":
        draw_weather(canvas, layout.camera, light, spec.weather, spec.seed)
    return canvas, to_bytes(seen * 255)


def _unheard(stage: str, number: int, total: int, picture: Pixels | None) -> None:
    """Nobody listens."""


def _check(
    spec: FrameSpec, mattes: Sequence[npt.NDArray[np.uint8] | None], plate: npt.NDArray[np.uint8] | None
) -> None:
    if len(mattes) not in (0, len(spec.figures)):
        raise InvalidPixels(
            "mattes", f"{len(mattes)} for {len(spec.figures)} figures", "one for each figure, or none at all"
        )
    for i, matte in enumerate(mattes):
        if matte is not None:
            _check_array(f"mattes[{i}]", matte, 4)
    if plate is not None:
        _check_array("plate", plate, 3)


def _check_array(name: str, pixels: npt.NDArray[np.uint8], channels: int) -> None:
    kind = "RGBA" if channels == 4 else "RGB"
    limit = f"uint8 {kind} (height, width, {channels}), sides {_MIN_SIDE_PX} to {_MAX_SIDE_PX}"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != channels:
        raise InvalidPixels(name, f"{pixels.dtype} {pixels.shape}", limit)
    if not all(_MIN_SIDE_PX <= side <= _MAX_SIDE_PX for side in pixels.shape[:2]):
        raise InvalidPixels(name, f"{pixels.dtype} {pixels.shape}", limit)
