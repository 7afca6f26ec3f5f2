"""Where the head is in a matted photograph: what its size on the card follows from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from previz.aim import HEADS
from previz.drawing.canvas import Pixels
from previz.spec import FaceBox

_EYES_IN_FACE = 0.37


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
