"""The figure cut out of its photograph: coarse mask, trimap, closed-form alpha, foreground colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait.closed_form import solve_alpha
from portrait.faces import Face
from portrait.foreground import foreground_colours
from portrait.pictures import Bytes, Floats, Mask, checked, fitted, grown, settle_opencv, shrunk
from portrait.segmentation import figure_mask
from portrait.upsampling import guided_upsampling

WORK_PX = 768

_BODY_BAND_SHARE = 0.02
_HAIR_OUT_FACES, _HAIR_IN_FACES = 0.1, 0.07
_PULL = 0.02
_CERTAINLY_OUT, _CERTAINLY_IN = 0.06, 0.95


@dataclass(frozen=True, eq=False)
class Matte:
    """`alpha` float32 (H, W) 0..1 and `foreground` uint8 (H, W, 3), the figure's colours not multiplied by alpha."""

    alpha: Floats
    foreground: Bytes


def cut_out(rgb: Bytes, face: Face | None) -> Matte:
    """The person in an upright RGB uint8 photograph; `face` in its pixels. Same bytes every time. Raises NoFigure."""
    settle_opencv()
    picture = checked(rgb)
    small = fitted(picture, WORK_PX)
    near = face.scaled(max(small.shape[:2]) / max(picture.shape[:2])) if face else None
    mask = figure_mask(small, near)
    unknown = unknown_band(mask, near)
    alpha = _settled(solve_alpha(small, mask.astype(np.float32), unknown, _pull(mask, unknown, near)), unknown)
    if small.shape != picture.shape:
        alpha = guided_upsampling(alpha, small, picture)
    return Matte(alpha, foreground_colours(picture, alpha))


def rgba(matte: Matte) -> Bytes:
    """The matte as uint8 (H, W, 4), not premultiplied."""
    return np.dstack([matte.foreground, np.rint(matte.alpha * 255).astype(np.uint8)])


def unknown_band(mask: Mask, face: Face | None) -> Mask:
    """The pixels to solve: a narrow band along the mask's edge, a wide one around the head, where hair is."""
    radius = max(2, round(_BODY_BAND_SHARE * max(mask.shape)))
    band = grown(mask, radius) & ~shrunk(mask, radius)
    if face is None:
        return band
    out, into = (max(radius, round(share * face.width)) for share in (_HAIR_OUT_FACES, _HAIR_IN_FACES))
    return band | (grown(mask, out) & ~shrunk(mask, into) & _hair_zone(mask.shape, face))


def _hair_zone(shape: tuple[int, ...], face: Face) -> Mask:
    """Around and above the head, from the cheeks upwards, less the face itself."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across = (columns - face.centre[0]) / face.width
    down = (rows - face.centre[1]) / face.height
    head = np.hypot(across / 1.1, (down + 0.15) / 1.1) < 1
    middle = np.hypot(across / 0.42, down / 0.45) < 1
    return np.asarray(head & ~middle & (down < 0.5), np.bool_)


def _pull(mask: Mask, unknown: Mask, face: Face | None) -> Floats:
    """How strongly the coarse mask is believed: not at its edge, more and more with the distance (px) from it."""
    inside, outside = (cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (mask, ~mask))
    scale = _BODY_BAND_SHARE * max(mask.shape) if face is None else _HAIR_OUT_FACES * face.width
    return np.asarray(_PULL * np.where(unknown, ((inside + outside) / scale) ** 3, 0), np.float32)


def _settled(alpha: Floats, unknown: Mask) -> Floats:
    """Alpha with the faint haze of the background's texture taken away, and the figure's own texture filled."""
    firm = np.clip((alpha - _CERTAINLY_OUT) / (_CERTAINLY_IN - _CERTAINLY_OUT), 0, 1)
    return np.where(unknown, firm, alpha).astype(np.float32)
