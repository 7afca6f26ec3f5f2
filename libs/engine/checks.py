"""Looks at what was computed: numbers that are none and black pictures are errors, never results."""

from __future__ import annotations

from math import isfinite, isnan

import torch

from engine.errors import NotAPicture

__all__ = ["require_finite", "require_picture"]

_BLACK = 2 * 2.5 / 255 - 1
"""Below, a decoded value is at most 2 of 255, which still counts as black: rounding leaves less."""


def require_finite(values: torch.Tensor, phase: str) -> None:
    """Raise ``NotAPicture`` where a value is NaN or infinite. One reduction on the device, one read back."""
    _highest(values, phase)


def require_picture(picture: torch.Tensor) -> None:
    """Raise ``NotAPicture`` where a decoded picture, about -1..1, holds no numbers or is black all over."""
    if _highest(picture, "decode") < _BLACK:
        raise NotAPicture("decode", "black all over")


def _highest(values: torch.Tensor, phase: str) -> float:
    lowest, highest = torch.stack(torch.aminmax(values)).tolist()
    if not (isfinite(lowest) and isfinite(highest)):
        raise NotAPicture(phase, "NaN" if isnan(lowest) or isnan(highest) else "infinite values")
    return float(highest)
