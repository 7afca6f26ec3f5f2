"""Between two passes: the picture of the first, made as large as the second is drawn."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from engine.drawing.fit import covering

__all__ = ["enlarged"]


def enlarged(picture: torch.Tensor, width_px: int, height_px: int) -> torch.Tensor:
    """Return a decoded picture (1, 3, h, w), about -1..1, in another size, within -1..1.

    It stays float32 and on its device. Bicubic, which sharpens no noise; what juts out is cut off as ``fitted`` does.
    """
    height, width = picture.shape[-2:]
    if (width, height) == (width_px, height_px):
        return picture.clamp(-1, 1)
    (wide, high), left, top = covering(width, height, width_px, height_px)
    scaled = interpolate(picture.clamp(-1, 1), size=(high, wide), mode="bicubic", antialias=True)
    return scaled[..., top : top + height_px, left : left + width_px].clamp(-1, 1).contiguous()
