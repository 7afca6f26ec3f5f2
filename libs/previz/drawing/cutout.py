"""A matted photograph made ready for its card: measured by its face, clean at its edges, faded where it was cropped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.body import HEIGHT_PX, PX_PER_HEAD, WIDTH_PX, Dress, body, half_width, rows
from previz.drawing.canvas import Pixels, Plane, Rgb, ramp, scaled, to_bytes
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, CARD_WIDTH_HEADS, HEADS
from previz.spec import FaceBox, FigureSpec

_EYES_IN_FACE = 0.37
_SEAM_FADE_HEADS, _SIDE_FADE_HEADS, _SMEAR_HEADS = 0.22, 0.14, 0.42
_WHOLE_FIGURE_HEADS = 6.2


@dataclass(frozen=True)
class Measure:
    """Where the head is in a matte: the point between the eyes and the head's height, in pixels of the matte."""

    eye_x: float
    eye_y: float
    head: float

    def x_heads(self, x_px: float) -> float:
        """From the figure's middle."""
        return (x_px - self.eye_x) / self.head

    def y_heads(self, y_px: float) -> float:
        """Down from the crown; the eyes are half a head below it."""
        return 0.5 + (y_px - self.eye_y) / self.head


@dataclass(frozen=True, eq=False)
class Cutout:
    """A photograph with clean, faded edges (RGBA), the body below it (RGBA card), and the map between the two.

    ``to_card`` maps the photograph's unit square to the card's, for homographies. (3, 3)
    """

    photograph: Pixels | None
    body: Pixels
    to_card: Array


def cutout(figure: FigureSpec, matte: Pixels | None, key_side: float, head: str) -> Cutout:
    """The two layers of a figure; ``matte`` is RGBA or ``None`` for a plain figure. Results are shared: don't write."""
    if matte is None:
        return _plain(figure, key_side, head)
    return _from_photograph(_Key(matte), figure, key_side)


@lru_cache(maxsize=32)
def _plain(figure: FigureSpec, key_side: float, head: str) -> Cutout:
    top = _as_rgb(figure.palette[0]) if figure.palette else (92.0, 98.0, 112.0)
    legs = _as_rgb(figure.palette[1]) if len(figure.palette) > 1 else scaled(top, 0.62)
    dress = Dress(top, legs, _as_rgb(figure.skin), _as_rgb(figure.hair))
    return Cutout(None, body(dress, key_side, head), np.eye(3))


class _Key:
    """A matte as a cache key: equal by content."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self._digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._digest == other._digest and self.pixels.shape == other.pixels.shape


@lru_cache(maxsize=16)
def _from_photograph(key: _Key, figure: FigureSpec, key_side: float) -> Cutout:
    matte = key.pixels
    height, width = matte.shape[:2]
    measure = measured(matte, figure.face_box)
    clean = _decontaminated(matte)
    alpha = clean[:, :, 3].astype(np.float32) / np.float32(255)
    bottom = _last_row(alpha)
    seam = measure.y_heads(bottom)
    to_card = _to_card(measure, width, height)
    if seam >= _WHOLE_FIGURE_HEADS:
        return Cutout(clean, np.zeros((HEIGHT_PX, WIDTH_PX, 4), np.uint8), to_card)
    under = _continued(clean, alpha, measure, bottom=bottom, figure=figure, key_side=key_side)
    y = np.arange(height, dtype=np.float32)[:, None]
    faded = alpha * ramp(bottom, bottom - _SEAM_FADE_HEADS * measure.head, y)
    faded *= _side_fade(alpha, measure, bottom)
    clean[:, :, 3] = to_bytes(faded * 255)
    return Cutout(clean, under, to_card)


def measured(matte: Pixels, face: FaceBox | None) -> Measure:
    """Find the head: the median of what the face box, the crown and the width at the eyes tell of its height.

    Face detectors disagree about how much of a head they frame; hats and hair mislead the crown. Two of three agree.
    """
    height, width = matte.shape[:2]
    alpha = matte[:, :, 3] > 127
    if face is None:
        return _guessed(alpha)
    eye_x = (face.x + face.width / 2) * width
    eye_y = (face.y + face.height * _EYES_IN_FACE) * height
    box = face.height * height
    half = max(1, round(face.width * width * 0.35))
    middle = alpha[:, max(0, int(eye_x) - half) : int(eye_x) + half]
    crown = int(np.argmax(middle.any(axis=1)))
    row = alpha[min(height - 1, int(eye_y))]
    run = _run(row, int(eye_x))
    estimates = sorted((box * 1.3, 2.0 * (eye_y - crown), run / 0.84))
    return Measure(eye_x, eye_y, float(np.clip(estimates[1], box * 1.1, box * 1.85)))


def _guessed(alpha: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Measure:
    """Without a face box: a tall matte is a whole figure; else the head is as wide as what is below the crown."""
    filled = np.flatnonzero(alpha.any(axis=1))
    if not len(filled):
        return Measure(alpha.shape[1] / 2, alpha.shape[0] * 0.2, alpha.shape[0] * 0.3)
    crown, bottom = int(filled[0]), int(filled[-1])
    columns = np.flatnonzero(alpha.any(axis=0))
    if bottom - crown > 2.4 * (columns[-1] - columns[0]):
        head = (bottom - crown) / HEADS
        return Measure(float(columns.mean()), crown + head / 2, head)
    band = alpha[crown : crown + max(2, (bottom - crown) // 5)]
    xs = np.flatnonzero(band.any(axis=0))
    head = float(np.clip((xs[-1] - xs[0]) / 0.80, (bottom - crown) / 7.6, (bottom - crown) / 1.6))
    return Measure(float(xs.mean()), crown + head / 2, head)


def _run(row: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], x: int) -> int:
    """Length of the run of true values round x."""
    if not row[min(x, len(row) - 1)]:
        return 0
    left, right = x, x
    while left > 0 and row[left - 1]:
        left -= 1
    while right < len(row) - 1 and row[right + 1]:
        right += 1
    return right - left + 1


def _to_card(measure: Measure, width: int, height: int) -> Array:
    card_height = CARD_BOTTOM_HEADS - CARD_TOP_HEADS
    left = (measure.x_heads(0) + CARD_WIDTH_HEADS / 2) / CARD_WIDTH_HEADS
    top = (measure.y_heads(0) - CARD_TOP_HEADS) / card_height
    across, down = width / measure.head / CARD_WIDTH_HEADS, height / measure.head / card_height
    return np.array([[across, 0, left], [0, down, top], [0, 0, 1.0]])


def _decontaminated(matte: Pixels) -> Pixels:
    """Colours at half-transparent edges replaced by those just inside, so no old background shines through."""
    solid = (matte[:, :, 3] > 235).astype(np.float32)
    weight = cv2.GaussianBlur(solid, (0, 0), 3.0)
    spread = cv2.GaussianBlur(matte[:, :, :3].astype(np.float32) * solid[:, :, None], (0, 0), 3.0)
    inner = spread / np.maximum(weight, 1e-3)[:, :, None]
    known = weight > 0.002
    edge = (1 - solid) * known
    clean = matte.copy()
    clean[:, :, :3] = to_bytes(matte[:, :, :3] * (1 - edge[:, :, None]) + inner * edge[:, :, None])
    return clean


def _last_row(alpha: Plane) -> int:
    filled = np.flatnonzero((alpha > 0.5).any(axis=1))
    return int(filled[-1]) + 1 if len(filled) else alpha.shape[0]


def _side_fade(alpha: Plane, measure: Measure, bottom: int) -> Plane:
    """1, but falling to 0 at a side edge of the photograph that cuts the figure."""
    width = alpha.shape[1]
    x = np.arange(width, dtype=np.float32)[None, :]
    reach = _SIDE_FADE_HEADS * measure.head
    fade: Plane = np.ones((1, width), np.float32)
    if _is_cut(alpha[:bottom, :2]):
        fade = fade * ramp(0, reach, x)
    if _is_cut(alpha[:bottom, -2:]):
        fade = fade * ramp(0, reach, width - 1 - x)
    return np.asarray(fade, np.float32)


def _is_cut(edge: Plane) -> bool:
    return float((edge > 0.5).mean()) > 0.02


def _continued(
    clean: Pixels, alpha: Plane, measure: Measure, *, bottom: int, figure: FigureSpec, key_side: float
) -> Pixels:
    """The body below the seam, in the clothing's colour and the photograph's width, with its last rows drawn down."""
    seam = measure.y_heads(bottom)
    strip = slice(max(0, bottom - max(4, round(0.10 * measure.head))), max(1, bottom - 1))
    xs = np.flatnonzero((alpha[strip] > 0.5).mean(axis=0) > 0.5)
    left, right = (measure.x_heads(xs[0]), measure.x_heads(xs[-1] + 1)) if len(xs) else (-0.8, 0.8)
    plain = half_width(seam)
    left_cut, right_cut = _is_cut(alpha[:bottom, :2]), _is_cut(alpha[:bottom, -2:])
    cloth = _cloth(clean, alpha, figure, bottom, measure)
    dress = Dress(
        cloth,
        scaled(cloth, 0.92),
        _as_rgb(figure.skin),
        _as_rgb(figure.hair),
        float(np.clip((-left + (0.08 if left_cut else 0)) / plain, 0.72, 1.25)),
        float(np.clip((right + (0.08 if right_cut else 0)) / plain, 0.72, 1.25)),
    )
    card = body(dress, key_side, "none").copy()
    y = (np.arange(HEIGHT_PX, dtype=np.float32)[:, None] + 0.5) / PX_PER_HEAD + CARD_TOP_HEADS
    keep = np.broadcast_to(ramp(seam - 0.45, seam - 0.30, y), (HEIGHT_PX, WIDTH_PX)).copy()
    sides = ((left_cut, alpha[:, :2], slice(0, WIDTH_PX // 2)), (right_cut, alpha[:, -2:], slice(WIDTH_PX // 2, None)))
    for is_cut, edge, side in sides:
        if is_cut:
            start = measure.y_heads(float(np.argmax((edge > 0.5).any(axis=1))))
            keep[:, side] = np.maximum(keep[:, side], ramp(start - 0.1, start + 0.2, y))
    card[:, :, 3] = to_bytes(card[:, :, 3] * keep)
    _smear(card, clean, alpha, measure, strip=strip, seam=seam)
    return card


def _cloth(clean: Pixels, alpha: Plane, figure: FigureSpec, bottom: int, measure: Measure) -> Rgb:
    """The clothing's colour as the photograph shows it near the seam."""
    top = max(0, round(bottom - 0.6 * measure.head))
    pixels = clean[top:bottom, :, :3][alpha[top:bottom] > 0.9].astype(np.float64)
    if not len(pixels):
        return _as_rgb(figure.palette[0]) if figure.palette else (92.0, 98.0, 112.0)
    wanted = np.array(figure.palette[0], np.float64) if figure.palette else np.median(pixels, axis=0)
    near = pixels[np.abs(pixels - wanted).sum(axis=1) < 130]
    r, g, b = near.mean(axis=0) if len(near) > 50 else wanted
    return float(r) * 1.04, float(g) * 1.04, float(b) * 1.04


def _smear(card: Pixels, clean: Pixels, alpha: Plane, measure: Measure, *, strip: slice, seam: float) -> None:
    """Draw the photograph's last rows down over the body: fading on it, rounded off beside it."""
    x = ((np.arange(WIDTH_PX) + 0.5) / PX_PER_HEAD - CARD_WIDTH_HEADS / 2) * measure.head + measure.eye_x
    inside = (x >= 0) & (x <= clean.shape[1] - 1)
    index = np.clip(np.rint(x), 0, clean.shape[1] - 1).astype(int)
    row = np.median(clean[strip, :, :3], axis=0)[index].astype(np.float32)
    row = cv2.GaussianBlur(row[None], (0, 0), sigmaX=6.0, sigmaY=0.1)[0]
    cover = (np.mean(alpha[strip], axis=0)[index] > 0.5) & inside
    to_edge = np.minimum.reduce([_edge_distance(cover), np.full(WIDTH_PX, 0.30 * PX_PER_HEAD)])
    round_off = np.sqrt(np.clip((0.30 * PX_PER_HEAD) ** 2 - (0.30 * PX_PER_HEAD - to_edge) ** 2, 0, None))
    y = np.arange(HEIGHT_PX, dtype=np.float32)[:, None] + 0.5 - np.float32(rows(seam))
    rounded = ramp(1.5, -1.5, y - round_off[None, :].astype(np.float32)) * cover[None, :]
    started = ramp(-0.30 * PX_PER_HEAD, -0.26 * PX_PER_HEAD, y)
    fade = ramp(_SMEAR_HEADS * PX_PER_HEAD, -0.05 * PX_PER_HEAD, y)
    below = card[:, :, 3].astype(np.float32) / 255
    weight = started * cover[None, :] * np.where(below > 0.5, fade, rounded)
    total = weight + below * (1 - weight)
    shaded = row[None] * (1 - 0.25 * ramp(0, 0.6 * PX_PER_HEAD, y))[:, :, None]
    colour = (shaded * weight[:, :, None] + card[:, :, :3] * (below * (1 - weight))[:, :, None]) / np.maximum(
        total, 1e-3
    )[:, :, None]
    card[:, :, :3] = to_bytes(colour)
    card[:, :, 3] = to_bytes(total * 255)


def _edge_distance(cover: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Array:
    """Distance of each covered column to the nearest uncovered one, in columns."""
    gaps = np.flatnonzero(~cover)
    if not len(gaps):
        return np.full(len(cover), float(len(cover)))
    return np.asarray(np.min(np.abs(np.arange(len(cover))[:, None] - gaps[None, :]), axis=1), np.float64)


def _as_rgb(colour: tuple[int, int, int]) -> Rgb:
    return float(colour[0]), float(colour[1]), float(colour[2])
