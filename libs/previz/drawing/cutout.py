"""A matted photograph made ready for its card: measured by its face, clean at its edges, faded where it was cropped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from previz.camera import Array
from previz.drawing.body import HEIGHT_PX, WIDTH_PX, Dress, body
from previz.drawing.canvas import Pixels, Plane, Rgb, ramp, scaled, to_bytes
from previz.drawing.continuation import FADE_HEADS, continued, is_cut
from previz.drawing.measure import Measure, measured
from previz.layout import CARD_BOTTOM_HEADS, CARD_TOP_HEADS, CARD_WIDTH_HEADS
from previz.spec import FigureSpec

_SIDE_FADE_HEADS = 0.14
_WHOLE_FIGURE_HEADS = 6.2
_CHIN_HEADS, _CHEST_HEADS = 0.8, 1.75


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
    return _from_photograph(Key(matte), figure, key_side)


@lru_cache(maxsize=32)
def _plain(figure: FigureSpec, key_side: float, head: str) -> Cutout:
    top = _as_rgb(figure.palette[0]) if figure.palette else (92.0, 98.0, 112.0)
    legs = _as_rgb(figure.palette[1]) if len(figure.palette) > 1 else scaled(top, 0.62)
    dress = Dress(top, legs, _as_rgb(figure.skin), _as_rgb(figure.hair))
    return Cutout(None, body(dress, key_side, head), np.eye(3))


class Key:
    """A matte as a cache key: equal by content."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self._digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._digest == other._digest and self.pixels.shape == other.pixels.shape


@lru_cache(maxsize=16)
def _from_photograph(key: Key, figure: FigureSpec, key_side: float) -> Cutout:
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
    under = continued(clean, measure, bottom=bottom, figure=figure, key_side=key_side)
    y = np.arange(height, dtype=np.float32)[:, None]
    faded = alpha * ramp(bottom, bottom - FADE_HEADS * measure.head, y)
    faded *= _side_fade(clean, measure, bottom)
    clean[:, :, 3] = to_bytes(faded * 255)
    return Cutout(clean, under, to_card)


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


def _side_fade(clean: Pixels, measure: Measure, bottom: int) -> Plane:
    """1, but falling to 0 at a side edge of the photograph that cuts the figure, from a little below where it does."""
    height, width = clean.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    fade: Plane = np.ones((height, width), np.float32)
    for edge, inward in ((slice(0, 2), x), (slice(-2, None), width - 1 - x)):
        if is_cut(clean[:bottom, edge, 3]):
            start = float(np.argmax((clean[:bottom, edge, 3] > 127).any(axis=1)))
            lost = ramp(_SIDE_FADE_HEADS * measure.head, 0, inward)
            is_shoulder = measure.y_heads(start) > _CHIN_HEADS and measure.y_heads(bottom) < _CHEST_HEADS
            # A shoulder goes on at once; an arm first shows what it is.
            first, last = (-0.06, 0.02) if is_shoulder else (0.2, 0.5)
            fade = fade * (1 - lost * ramp(start + first * measure.head, start + last * measure.head, y))
    return np.asarray(fade, np.float32)


def _as_rgb(colour: tuple[int, int, int]) -> Rgb:
    return float(colour[0]), float(colour[1]), float(colour[2])
