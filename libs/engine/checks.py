"""Looks at what was computed: numbers that are none and black pictures are errors, never results."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import NotAPicture

__all__ = ["require_finite", "require_picture"]

_BLACK = 2
"""The highest value, of 255, that still counts as black: rounding leaves less."""


def require_finite(values: torch.Tensor, phase: str) -> None:
    """Raise ``NotAPicture`` where a value is NaN or infinite. One reduction on the device, one number read back."""
    extremes = torch.stack(torch.aminmax(values))
    if not bool(extremes.isfinite().all()):
        raise NotAPicture(phase, "NaN" if bool(extremes.isnan().any()) else "infinite values")


def require_picture(pixels: NDArray[np.uint8]) -> None:
    """Raise ``NotAPicture`` where a picture, uint8 of any shape, is black all over."""
    if int(pixels.max()) <= _BLACK:
        raise NotAPicture("decode", "black all over")
