"""Where the camera and the figures are: pure numbers, no pixels.

The camera is solved, not guessed: the head's height in the frame, the place of the eyes and the tilt follow from shot
type, angle and composition, and determine its position exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from previz.aim import EYE_HEADS, HEADS, Aim, aimed, card_up, distance, head_px_of
from previz.camera import Array, Camera
from previz.framing import DUTCH_ROLL, FRAMINGS, LENS_FACTORS, SUBJECT_COLUMNS, TILTS, Framing
from previz.spec import FigureSpec, FrameSpec

CARD_WIDTH_HEADS, CARD_TOP_HEADS, CARD_BOTTOM_HEADS = 5.0, -0.75, 7.75
"""A figure's card reaches above the crown for hats and below the soles for shadows; heights are from the crown."""
TABLE_M = 0.78
"""Height of the table that an insert shows; it stands before the figure, its middle at ``_TABLE_MIDDLE_Z``."""
_TABLE_MIDDLE_Z = -0.5
_INSERT_TILT = math.radians(-15)
_INSERT_M = 1.0
_SHOULDER_HEAD = 0.46
"""Height of the near figure's head in an over-the-shoulder shot, over the frame's."""


@dataclass(frozen=True)
class Placement:
    """A figure's card: ``origin`` is its upper left corner, ``across`` and ``down`` its edges, in metres.

    ``role`` is ``subject``, ``shoulder`` (seen from behind, near, dark and soft) or ``torso`` (headless, behind an
    insert). ``face_box_px`` is x, y, width, height of the face, ``None`` where no face is shown; ``quad_px`` the
    card's corners, clockwise from the upper left.
    """

    figure: FigureSpec
    index: int
    role: str
    foot: tuple[float, float, float]
    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    depth_m: float
    head_px: float
    face_box_px: tuple[float, float, float, float] | None
    quad_px: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """One shot's camera and its figures, far ones first."""

    camera: Camera
    placements: tuple[Placement, ...]
    horizon_y_px: float
    focus_m: float
    f_number: float


def solve(spec: FrameSpec) -> Layout:
    """Place the camera and the figures for a specification."""
    framing = FRAMINGS[spec.shot_type]
    cast = _cast(spec, framing)
    feet = _stage(spec, cast, framing)
    camera = _camera(spec, framing, cast, feet)
    if spec.shot_type == "over-the-shoulder":
        cast, feet = _with_shoulder(spec, camera, cast, feet)
    placements = tuple(
        _placement(camera, figure, index, foot, _role(spec, number))
        for number, ((index, figure), foot) in enumerate(zip(cast, feet, strict=True))
    )
    focus_m = placements[0].depth_m if placements else distance(camera, framing.head, FigureSpec.height_m)
    if spec.shot_type == "insert":
        focus_m = _INSERT_M
    far_first = tuple(sorted(placements, key=lambda placement: -placement.depth_m))
    return Layout(camera, far_first, camera.horizon_y(), focus_m, framing.f_number)


Cast = list[tuple[int, FigureSpec]]
Foot = tuple[float, float, float]


def _cast(spec: FrameSpec, framing: Framing) -> Cast:
    """The figures that this shot shows, the subject first; the partner of an over-the-shoulder is placed later."""
    figures = list(enumerate(spec.figures))
    most = 1 if spec.shot_type == "over-the-shoulder" else framing.most_figures
    return figures[:most]


def _order(figure: FigureSpec, index: int) -> int:
    return index if figure.screen_order is None else figure.screen_order


def looks_right(spec: FrameSpec) -> bool:
    """Whether the subject looks to the screen's right: by its face, else towards its partner, else by its name."""
    if not spec.figures:
        return spec.seed % 2 == 0
    subject = spec.figures[0]
    if abs(subject.facing) > 0.15:
        return subject.facing > 0
    if len(spec.figures) > 1:
        return _order(subject, 0) < _order(spec.figures[1], 1)
    return sum(subject.name.encode()) % 2 == 0 if subject.screen_order is None else subject.screen_order % 2 == 0


def _stage(spec: FrameSpec, cast: Cast, framing: Framing) -> list[Foot]:
    """Feet of the cast: side by side in screen order round the origin, the outer ones a little nearer."""
    side = -1.0 if looks_right(spec) else 1.0
    if len(cast) <= 1:
        return [(0.45 * side if len(spec.figures) > 1 else 0.0, 0.0, 0.0) for _ in cast]
    spacing = framing.spacing_m
    if spec.shot_type == "two-shot":
        spacing = max(0.36, min(spacing, 2.0 * spacing / len(cast)))
    left_to_right = sorted(range(len(cast)), key=lambda number: (_order(cast[number][1], number), number))
    feet: list[Foot] = [(0.0, 0.0, 0.0)] * len(cast)
    for place, number in enumerate(left_to_right):
        x = (place - (len(cast) - 1) / 2) * spacing
        feet[number] = (x, 0.0, 0.06 * (place % 2) if len(cast) > 2 else 0.0)
    return feet


def _camera(spec: FrameSpec, framing: Framing, cast: Cast, feet: list[Foot]) -> Camera:
    """The camera that sees the eyes of the cast's middle where the framing wants them."""
    group = len(cast) > 1
    middle = np.mean(feet, axis=0) if feet else np.zeros(3)
    column = 0.5 + (SUBJECT_COLUMNS[spec.composition] - 0.5) * framing.off_centre * (0.35 if group else 1.0)
    if not looks_right(spec):
        column = 1.0 - column
    if spec.shot_type == "over-the-shoulder":
        column = 0.36 if looks_right(spec) else 0.64
    head = framing.head if spec.shot_type != "two-shot" else framing.head * min(1.0, 2.2 / max(len(cast), 1))
    aim = Aim(
        anchor_foot=(float(middle[0]), 0.0, float(middle[2])),
        pixel=(column * spec.width_px, framing.eye_line * spec.height_px),
        head_px=head * spec.height_px,
        height_m=max((figure.height_m for _, figure in cast), default=FigureSpec.height_m),
    )
    camera = Camera(
        spec.width_px,
        spec.height_px,
        framing.lens_mm * LENS_FACTORS.get(spec.camera_angle, 1.0),
        (0.0, 0.0, 0.0),
        pan=_pan(spec, group),
        tilt=TILTS[spec.camera_angle],
        roll=DUTCH_ROLL * (1 if looks_right(spec) else -1) if spec.camera_angle == "dutch" else 0.0,
    )
    if spec.shot_type == "insert":
        tilt = min(_INSERT_TILT + 0.5 * camera.tilt, math.radians(-6))
        on_table = (float(middle[0]), TABLE_M, _TABLE_MIDDLE_Z)
        return replace(camera, tilt=tilt).placed(on_table, (0.5 * spec.width_px, 0.68 * spec.height_px), _INSERT_M)
    return aimed(camera, aim)


def _pan(spec: FrameSpec, group: bool) -> float:
    """Singles look across the stage at their subject, so the set behind each side differs; the seed varies a little."""
    vary = ((spec.seed >> 3) % 9 - 4) * 0.6
    if group or not spec.figures or spec.composition == "symmetrical":
        return math.radians(vary * 0.3)
    across = {"over-the-shoulder": 14.0, "extreme-wide": 4.0, "establishing": 3.0, "wide": 6.0}.get(spec.shot_type, 9.0)
    return math.radians((-across if looks_right(spec) else across) + vary * 0.5)


def _role(spec: FrameSpec, number: int) -> str:
    if spec.shot_type == "insert":
        return "torso"
    return "shoulder" if spec.shot_type == "over-the-shoulder" and number == 1 else "subject"


def _with_shoulder(spec: FrameSpec, camera: Camera, cast: Cast, feet: list[Foot]) -> tuple[Cast, list[Foot]]:
    """Add the partner, near the camera, so that the shoulder covers the outer 30 % of the frame's width."""
    if not cast:
        return cast, feet
    index, figure = (1, spec.figures[1]) if len(spec.figures) > 1 else (-1, FigureSpec())
    subject_m = cast[0][1].height_m
    share = FRAMINGS[spec.shot_type].head / _SHOULDER_HEAD
    # Both eye lines on one level: the near one stands on a box or in a ditch, as on a set, until it is.
    level_m = camera.position[1] + (subject_m * EYE_HEADS / HEADS - camera.position[1]) * share
    near_m = min(max(level_m * HEADS / EYE_HEADS, 0.85 * subject_m), 1.15 * subject_m)
    partner = (index, replace(figure, height_m=near_m))
    depth = distance(camera, _SHOULDER_HEAD, near_m)
    shoulder_px = 0.9 * _SHOULDER_HEAD * spec.height_px
    x_px = 0.70 * spec.width_px + shoulder_px
    if not looks_right(spec):
        x_px = spec.width_px - x_px
    right, _, forward = camera.axes
    flat = np.array([forward[0], 0.0, forward[2]]) / math.hypot(forward[0], forward[2])
    place = np.asarray(camera.position) + flat * depth + right * ((x_px - spec.width_px / 2) * depth / camera.focal_px)
    return [*cast, partner], [*feet, (float(place[0]), 0.0, float(place[2]))]


def _placement(camera: Camera, figure: FigureSpec, index: int, foot: Foot, role: str) -> Placement:
    up = card_up(camera)
    right = np.array([math.cos(camera.pan), 0.0, -math.sin(camera.pan)])
    head_m = figure.height_m / HEADS
    crown = np.asarray(foot) + up * figure.height_m
    across = right * (CARD_WIDTH_HEADS * head_m)
    down = -up * ((CARD_BOTTOM_HEADS - CARD_TOP_HEADS) * head_m)
    origin = crown - up * (CARD_TOP_HEADS * head_m) - across / 2
    quad, _ = camera.project([origin, origin + across, origin + across + down, origin + down])
    _, depths = camera.project([crown - up * (0.5 * head_m)])
    return Placement(
        figure,
        index,
        role,
        foot,
        _triple(origin),
        _triple(across),
        _triple(down),
        float(depths[0]),
        head_px_of(camera, np.asarray(foot), up, figure.height_m),
        _face_box(camera, crown, up * head_m, right * head_m) if role == "subject" else None,
        tuple((float(x), float(y)) for x, y in quad),
    )


def _face_box(camera: Camera, crown: Array, up: Array, right: Array) -> tuple[float, float, float, float]:
    """Bounds of brow to chin, 0.6 heads wide, on the card; ``up`` and ``right`` are a head long."""
    corners = [crown - up * y + right * x for x in (-0.3, 0.3) for y in (0.3, 1.0)]
    pixels, _ = camera.project(corners)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _triple(vector: Array) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
