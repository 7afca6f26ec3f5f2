"""Where a person is to be expected, as a signed distance: negative inside, positive outside, in face widths."""

from __future__ import annotations

import numpy as np

from portrait.faces import Face
from portrait.pictures import Floats

_HEAD_HALF_WIDTH, _HEAD_HALF_HEIGHT, _HEAD_LIFT = 0.62, 0.85, 0.12
_NECK_HALF_WIDTH, _SHOULDER_HALF_WIDTH = 0.42, 1.3
_SHOULDER_SLOPE, _TORSO_SPREAD = 1.5, 0.35
_CENTRE_HALF_WIDTH, _CENTRE_HALF_HEIGHT, _CENTRE_DOWN = 0.3, 0.5, 0.55


def around_face(shape: tuple[int, ...], face: Face) -> Floats:
    """Head ellipse with hair, neck, sloping shoulders and a torso that goes on to the lower edge."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    centre_x, centre_y = face.centre
    off_axis = np.abs(columns - centre_x) / face.width
    down = (rows - centre_y) / face.height + _HEAD_LIFT
    head = (np.hypot(off_axis / _HEAD_HALF_WIDTH, down / _HEAD_HALF_HEIGHT) - 1) * _HEAD_HALF_WIDTH
    below = np.maximum(0, (rows - face.chin) / face.width)
    half = np.minimum(_NECK_HALF_WIDTH + _SHOULDER_SLOPE * below, _SHOULDER_HALF_WIDTH + _TORSO_SPREAD * below)
    torso = np.where(rows > face.chin - 0.1 * face.height, off_axis - half, np.inf)
    return np.asarray(np.minimum(head, torso), np.float32)


def around_centre(shape: tuple[int, ...]) -> Floats:
    """Without a face: an upright ellipse in the middle, its half width standing for a face's."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    across = ((columns + 0.5) / shape[1] - 0.5) / _CENTRE_HALF_WIDTH
    down = ((rows + 0.5) / shape[0] - _CENTRE_DOWN) / _CENTRE_HALF_HEIGHT
    return np.asarray(np.hypot(across, down) - 1, np.float32)
