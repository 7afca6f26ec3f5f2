"""What goes on below a photograph: the plain body, made as wide and as coloured as the photograph is where it ends.

An arm that hangs is drawn on; an arm that is bent, or a thing that is held, is closed with a rounded, shaded edge where
the photograph cuts it, and no second arm is drawn beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.anatomy import half_width, shoulder_line
from previz.drawing.body import HEIGHT_PX, PX_PER_HEAD, WIDTH_PX, Dress, body, columns, lay, rows
from previz.drawing.canvas import Pixels, Plane, Rgb, ramp, scaled, to_bytes
from previz.drawing.measure import Measure
from previz.layout import CARD_TOP_HEADS, CARD_WIDTH_HEADS
from previz.spec import FigureSpec

FADE_HEADS = 0.22
"""Over this height the photograph gives way to the body."""
_CARRY_HEADS = 0.50
_SHOULDER_HEADS = 1.75
_ELBOW_HEADS = 2.5
_HELD = 1.18
_MOST_LIFT_HEADS = 0.55
_EASED_BELOW_HEADS = 2.4
_MOUTH_HEADS = 0.7


@dataclass(frozen=True)
class Side:
    """One side of a photograph's lower edge: ``way`` -1 left or 1 right, ``extent`` heads from the middle."""

    way: float
    extent: float
    is_cut: bool
    is_held: bool
    girth: float = 1.0


def continued(clean: Pixels, measure: Measure, *, bottom: int, figure: FigureSpec, key_side: float) -> Pixels:
    """The body's card (RGBA) under a photograph (straight RGBA) whose last row is above ``bottom``."""
    seam = measure.y_heads(bottom)
    placed = _on_card(clean, measure)
    sides = _sides(placed, clean, seam, bottom)
    cloth = _cloth(placed, figure, seam)
    dress = Dress(
        cloth,
        scaled(cloth, 0.90),
        _as_rgb(figure.skin),
        _as_rgb(figure.hair),
        left_arm=not sides[0].is_held,
        right_arm=not sides[1].is_held,
    )
    card = _fitted(body(dress, key_side, "none"), seam, sides, _lifts(placed, sides, seam))
    carried = _carried(placed, cloth, seam)
    _colour(card, carried, np.array(cloth, np.float32), seam)
    _trim(card, placed, clean, measure, seam=seam, sides=sides)
    for side in sides:
        if side.is_held:
            _close(card, carried, side, seam)
    _underlay(card, placed, carried, seam)
    return card


def is_cut(edge: Pixels) -> bool:
    """Whether a figure goes on beyond the photograph's edge, of which ``edge`` holds the alphas."""
    return float((edge > 127).mean()) > 0.02


def _on_card(clean: Pixels, measure: Measure) -> Plane:
    """The photograph at the card's scale and place, premultiplied, alpha 0..1. (card height, card width, 4)."""
    weighted = clean.astype(np.float32)
    weighted[:, :, 3] *= np.float32(1 / 255)
    weighted[:, :, :3] *= weighted[:, :, 3:]
    scale = PX_PER_HEAD / measure.head
    small = cv2.resize(weighted, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, columns(measure.x_heads(0))], [0, 1, rows(measure.y_heads(0))]], np.float64)
    return np.asarray(cv2.warpAffine(small, shift, (WIDTH_PX, HEIGHT_PX)), np.float32)


def _span(top: float, bottom: float) -> slice:
    """Rows of the card between two heights, at least one."""
    first = int(np.clip(rows(top), 0, HEIGHT_PX - 2))
    return slice(first, max(first + 1, int(np.clip(rows(bottom), 1, HEIGHT_PX))))


def _sides(placed: Plane, clean: Pixels, seam: float, bottom: int) -> tuple[Side, ...]:
    left, right = (
        _side(placed, seam, way, is_cut(clean[:bottom, edge, 3]))
        for way, edge in ((-1.0, slice(0, 2)), (1.0, slice(-2, None)))
    )
    if seam < _SHOULDER_HEADS:
        # Cropped above the shoulders, the photograph's width is the crop's, not the figure's: anatomy decides.
        return left, right
    shoulders = float(np.mean([_extent(placed, _SHOULDER_HEADS, way) for way in (-1.0, 1.0)])) if seam > 2.0 else 0.0
    posture = float(np.clip(shoulders / half_width(_SHOULDER_HEADS), 0.85, 1.15)) if shoulders else 1.0
    plain = half_width(seam)
    girths = [posture if side.is_held else float(np.clip(side.extent / plain, 0.74, 1.25)) for side in (left, right)]
    # Where the picture's edge cuts an arm off, its true width is unknown: at least what the other side shows.
    widest = min(1.25, 1.05 * max(girths))
    return tuple(
        replace(side, girth=widest if side.is_cut and not side.is_held else girth)
        for side, girth in zip((left, right), girths, strict=True)
    )


def _side(placed: Plane, seam: float, way: float, cut: bool) -> Side:
    extent = _extent(placed, seam - 0.07, way)
    held = extent > _HELD * half_width(seam) or (seam > _ELBOW_HEADS and not _has_gap(placed, seam, way, extent))
    return Side(way, extent, cut, held and _SHOULDER_HEADS <= seam < 4.2)


def _lifts(placed: Plane, sides: tuple[Side, ...], seam: float) -> tuple[float, ...]:
    """How much higher than the plain body's the photograph's shoulders are where it ends, in heads, left and right."""
    if seam >= _SHOULDER_HEADS:
        return 0.0, 0.0
    return tuple(_lift(placed, seam, side.way, max(0.3, side.extent - 0.05)) for side in sides)


def _lift(placed: Plane, seam: float, way: float, x_heads: float) -> float:
    column = placed[_span(_MOUTH_HEADS, seam - 0.04), round(float(columns(way * x_heads))), 3] > 0.5
    # From the seam up to where the cloth ends: hair above it does not count.
    shown = seam - 0.04 - float(np.argmin(np.append(column[::-1], False))) / PX_PER_HEAD
    return float(np.clip(shoulder_line(x_heads) - shown, 0.0, _MOST_LIFT_HEADS))


def _extent(placed: Plane, y_heads: float, way: float) -> float:
    """How far the photograph reaches to a side at a height, in heads; 0 where it does not."""
    xs = np.flatnonzero(placed[_span(y_heads - 0.05, y_heads + 0.05), :, 3].mean(axis=0) > 0.5)
    if not len(xs):
        return 0.0
    edge = xs[-1] + 1 if way > 0 else xs[0]
    return max(0.0, way * (float(edge) / PX_PER_HEAD - CARD_WIDTH_HEADS / 2))


def _has_gap(placed: Plane, seam: float, way: float, extent: float) -> bool:
    """Whether background shows between body and arm: then the arm hangs free."""
    ends = sorted((int(columns(way * 0.45)), int(columns(way * max(0.5, extent - 0.08)))))
    return bool((placed[_span(seam - 0.4, seam), ends[0] : ends[1], 3] < 0.4).any(axis=0).sum() > 3)


def _cloth(placed: Plane, figure: FigureSpec, seam: float) -> Rgb:
    """The clothing's colour as the photograph shows it near the seam."""
    near = placed[_span(seam - 0.6, seam)]
    pixels = near[near[:, :, 3] > 0.95][:, :3].astype(np.float64)
    if not len(pixels) or (figure.palette and seam < _SHOULDER_HEADS):
        return _as_rgb(figure.palette[0]) if figure.palette else (92.0, 98.0, 112.0)
    wanted = np.array(figure.palette[0], np.float64) if figure.palette else np.median(pixels, axis=0)
    like = pixels[np.abs(pixels - wanted).sum(axis=1) < 130]
    r, g, b = np.median(like, axis=0) if len(like) > 30 else wanted
    return float(r), float(g), float(b)


def _fitted(card: Pixels, seam: float, sides: tuple[Side, ...], lifts: tuple[float, ...]) -> Pixels:
    """The card stretched to the photograph's width at the seam and its shoulders raised, easing to its own below."""
    y = (np.arange(HEIGHT_PX, dtype=np.float32)[:, None] + np.float32(0.5)) / PX_PER_HEAD + np.float32(CARD_TOP_HEADS)
    x = (np.arange(WIDTH_PX, dtype=np.float32)[None, :] + np.float32(0.5)) / PX_PER_HEAD - np.float32(
        CARD_WIDTH_HEADS / 2
    )
    near = ramp(seam + 1.3, seam, y)
    left, right = (
        np.float32(np.clip(side.girth, 0.84, 1.1)) * (1 - near) + np.float32(side.girth) * near for side in sides
    )
    source = x / np.where(x < 0, left, right)
    map_x = ((source + np.float32(CARD_WIDTH_HEADS / 2)) * PX_PER_HEAD - np.float32(0.5)).astype(np.float32)
    lift = np.float32(lifts[0]) + np.float32(lifts[1] - lifts[0]) * ramp(-0.4, 0.4, x)
    map_y = (rows(y + lift * ramp(seam + _EASED_BELOW_HEADS, seam, y)) - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(card, map_x, map_y, cv2.INTER_LINEAR), np.uint8)


def _carried(placed: Plane, cloth: Rgb, seam: float) -> Plane:
    """The median colour of each column of the photograph's last rows, softened sideways. (card width, 3)."""
    strip = placed[_span(seam - FADE_HEADS, seam - 0.03)]
    alpha = strip[:, :, 3:]
    straight = np.where(alpha > 0.5, strip[:, :, :3] / np.maximum(alpha, 0.5), np.nan)
    known = (alpha[:, :, 0] > 0.5).any(axis=0)
    row = np.empty((WIDTH_PX, 3), np.float32)
    row[:] = cloth
    row[known] = np.nanmedian(straight[:, known], axis=0)
    # Beyond its ends the row goes on with its last colour, so that softening takes nothing from outside.
    places = np.flatnonzero(known)
    if len(places):
        row[: places[0]], row[places[-1] :] = row[min(places[0] + 3, places[-1])], row[max(places[-1] - 3, places[0])]
    return np.asarray(cv2.GaussianBlur(row[None], (0, 0), sigmaX=0.07 * PX_PER_HEAD, sigmaY=0.1)[0], np.float32)


def _colour(card: Pixels, carried: Plane, cloth: Array, seam: float) -> None:
    """Draw darker colours of the photograph's last rows down over the body, as shade that fades."""
    carried = np.asarray(cv2.GaussianBlur(carried[None], (0, 0), sigmaX=0.14 * PX_PER_HEAD, sigmaY=0.1)[0], np.float32)
    region = card[_span(seam - FADE_HEADS - 0.1, seam + _CARRY_HEADS)]
    y = np.arange(region.shape[0], dtype=np.float32) / PX_PER_HEAD - np.float32(FADE_HEADS + 0.1)
    weight = np.float32(0.8) * ramp(_CARRY_HEADS, -0.05, y)[:, None, None]
    shade = region[:, :, :3].mean(axis=2, keepdims=True) / max(float(cloth.mean()), 8.0)
    difference = np.minimum(carried, cloth * 1.15)[None] - cloth
    region[:, :, :3] = to_bytes(region[:, :, :3] + difference * weight * np.clip(shade, 0.3, 1.3))


def _trim(
    card: Pixels, placed: Plane, clean: Pixels, measure: Measure, *, seam: float, sides: tuple[Side, ...]
) -> None:
    """Above the seam, leave of the body what the photograph covers, and what its side edges cut off."""
    y = (np.arange(HEIGHT_PX, dtype=np.float32)[:, None] + 0.5) / PX_PER_HEAD + CARD_TOP_HEADS
    below = ramp(seam - 0.14, seam - 0.07, y)
    keep = np.maximum(below, placed[:, :, 3] * ramp(seam - FADE_HEADS - 0.1, seam - FADE_HEADS, y))
    for side, column in zip(sides, (0, clean.shape[1] - 1), strict=True):
        if not side.is_cut or side.is_held:
            continue
        edge = float(columns(measure.x_heads(column)))
        x = np.arange(WIDTH_PX, dtype=np.float32)[None, :]
        beyond = ramp(-0.2 * PX_PER_HEAD, 0.0, (x - edge) * side.way)
        start = measure.y_heads(float(np.argmax(clean[:, column, 3] > 127)))
        keep = np.maximum(keep, beyond * ramp(start - 0.2, start - 0.05, y))
    card[:, :, 3] = to_bytes(card[:, :, 3] * keep)


def _close(card: Pixels, carried: Plane, side: Side, seam: float) -> None:
    """Round off what is held or bent at a side: half an ellipse below the seam, darker to its edge, and its shade."""
    inner = 0.5
    width = max(side.extent - inner, 0.1)
    depth = float(np.clip(0.36 * width, 0.14, 0.55))
    x = (np.arange(WIDTH_PX, dtype=np.float32) + np.float32(0.5)) / PX_PER_HEAD - np.float32(CARD_WIDTH_HEADS / 2)
    across = (x * np.float32(side.way) - np.float32(inner + width / 2)) / np.float32(width / 2)
    edge = np.float32(depth) * np.sqrt(np.clip(1 - across**2, 0, 1))
    span = _span(seam - 0.02, seam + depth + 0.6)
    y = (np.arange(span.start, span.stop, dtype=np.float32)[:, None] + np.float32(0.5)) / PX_PER_HEAD
    y += np.float32(CARD_TOP_HEADS - seam)
    inside = np.clip((edge[None, :] - y) * PX_PER_HEAD, 0, 1) * (np.abs(across) < 1)
    region = card[span]
    shadow = cv2.GaussianBlur(np.roll(inside, round(0.10 * PX_PER_HEAD), axis=0), (0, 0), 0.10 * PX_PER_HEAD)
    region[:, :, :3] = to_bytes(region[:, :, :3] * (1 - np.float32(0.62) * shadow)[:, :, None])
    turn = np.clip(y / np.maximum(edge[None, :], np.float32(0.02)), 0, 1)
    shade = 1 - np.float32(0.62) * turn**1.6 - np.float32(0.18) * np.abs(across)[None, :] ** 3 * (np.abs(across) < 1)
    lay(region, carried[None] * shade[:, :, None], np.asarray(inside, np.float32))


def _underlay(card: Pixels, placed: Plane, carried: Plane, seam: float) -> None:
    """Under the photograph's fading rows, its own colours in its own outline."""
    span = _span(seam - FADE_HEADS - 0.1, seam)
    y = np.arange(span.stop - span.start, dtype=np.float32)[:, None] / PX_PER_HEAD
    weight = placed[span][:, :, 3] * ramp(0.0, 0.1, y)
    region = card[span]
    covered = region[:, :, 3:].astype(np.float32) / 255
    colour = region[:, :, :3] * covered + carried[None] * (1 - covered)
    lay(region, np.asarray(colour, np.float32), np.asarray(weight, np.float32))


def _as_rgb(colour: tuple[int, int, int]) -> Rgb:
    return float(colour[0]), float(colour[1]), float(colour[2])
