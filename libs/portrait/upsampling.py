"""Alpha brought to the photograph's own size along its edges: the guided filter of He, Sun & Tang 2013, fast form."""

from __future__ import annotations

import cv2
import numpy as np

from portrait.pictures import Bytes, Floats, grown, resized

_RADIUS_PX = 2
_EPSILON = 1e-5
_BAND_PX = 3


def guided_upsampling(alpha: Floats, small: Bytes, picture: Bytes) -> Floats:
    """Alpha (h, w) of the `small` picture as alpha (H, W) of the same `picture` at full size, both RGB uint8.

    Around soft pixels alpha is a local linear function of colour, fitted at the small size and used at the full one.
    """
    height, width = picture.shape[:2]
    soft = grown((alpha > 0) & (alpha < 1), _BAND_PX)
    slopes, offset = np.zeros((*alpha.shape, 3), np.float32), alpha.copy()
    if soft.any():
        fitted_slopes, fitted_offset = _linear_fit(alpha, small.astype(np.float32) / np.float32(255), soft)
        slopes[soft], offset[soft] = fitted_slopes, fitted_offset
    large, large_offset = resized(_blurred(slopes), height, width), resized(_blurred(offset), height, width)
    full = np.einsum("ijk,ijk->ij", large, picture.astype(np.float32) / np.float32(255)) + large_offset
    return np.asarray(np.clip(full, 0, 1), np.float32)


def _blurred(values: Floats) -> Floats:
    side = 2 * _RADIUS_PX + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _linear_fit(alpha: Floats, guide: Floats, where: np.ndarray) -> tuple[Floats, Floats]:
    """Slopes (n, 3) and offsets (n,) of alpha over colour in the window around each pixel of `where`."""
    mean, alpha_mean = _blurred(guide)[where], _blurred(alpha)[where]
    products = np.stack([_blurred(guide[..., i] * guide[..., j])[where] for i in range(3) for j in range(3)], -1)
    covariance = products.reshape(-1, 3, 3) - mean[:, :, np.newaxis] * mean[:, np.newaxis]
    covariance += np.eye(3, dtype=np.float32) * np.float32(_EPSILON)
    with_alpha = np.stack([_blurred(guide[..., i] * alpha)[where] for i in range(3)], -1) - mean * alpha_mean[:, None]
    slopes = np.linalg.solve(covariance.astype(np.float64), with_alpha[..., np.newaxis].astype(np.float64))[..., 0]
    return slopes.astype(np.float32), (alpha_mean - np.sum(slopes * mean, -1)).astype(np.float32)
