"""The picture that a pass starts from, and the mask that says where it may change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from engine.drawing.fit import fitted, fitted_mask
from engine.shapes import ShapeClass

if TYPE_CHECKING:
    from engine.preparation import Prepared

__all__ = ["LATENT_PX", "Blend", "Source", "latent_mask", "source_of"]

LATENT_PX = 8
"""Pixels to a side of one latent pixel."""


@dataclass(frozen=True)
class Source:
    """A picture (h, w, 3) and a mask (h, w; 255 where it is drawn anew) or None, both as large as they are drawn."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Blend:
    """What inpainting puts back after each evaluation: the picture's latent and noise, and the mask (1, 1, h, w)."""

    latent: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor


def source_of(prepared: Prepared) -> Source | None:
    """Return what the first pass starts from; the previz frame where it guides and there is no image."""
    shape, request = prepared.shape, prepared.request
    picture = prepared.image
    if picture is None and request.layout is not None and not request.layout.is_network:
        picture = prepared.layout
    if picture is None:
        return None
    mask = None if prepared.mask is None else fitted_mask(prepared.mask, shape.width_px, shape.height_px)
    return Source(fitted(picture, shape.width_px, shape.height_px), mask)


def latent_mask(mask: NDArray[np.uint8], shape: ShapeClass, device: torch.device) -> torch.Tensor:
    """Return a mask at the latent's size: (1, 1, h / 8, w / 8), float32, 0 or 1, each eighth pixel of it."""
    small = np.ascontiguousarray(mask[: shape.height_px : LATENT_PX, : shape.width_px : LATENT_PX])
    return (torch.from_numpy(small).to(device)[None, None] >= 128).float()
