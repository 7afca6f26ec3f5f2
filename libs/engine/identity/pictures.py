"""Reference pictures and masks as the networks take them."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.image_processor import IPAdapterMaskProcessor
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

__all__ = ["LATENT_PX", "clip_input", "mask_at", "squared"]

LATENT_PX = 8
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
"""CLIP's own, RGB, of values 0 to 1. Source: Radford et al. (2021), the published preprocessing."""


def clip_input(picture: NDArray[np.uint8], side_px: int) -> torch.Tensor:
    """Return (1, 3, side, side), float32, normalised as CLIP was trained. The picture is RGB of any size."""
    small = Image.fromarray(squared(picture)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    values = (np.asarray(small, np.float32) / 255 - _MEAN) / _DEVIATION
    return torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0).contiguous()


def squared(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad a picture to a square in CLIP's mean colour: cropping to one, as CLIP does, cuts heads off."""
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.round(_MEAN * 255)
    square[top : top + height, left : left + width] = picture
    return square


def mask_at(mask: NDArray[np.uint8] | None, latent_h: int, latent_w: int, levels: int) -> list[torch.Tensor]:
    """Return what a mask is at each level of the denoiser, float32, flattened: the latent's size, half of it, ...

    ``mask`` is uint8 of any size, from 128 on inside, None for everywhere; it is drawn to the frame's size first and
    then interpolated as diffusers does, so its border is soft by one position.
    """
    if mask is None:
        return [torch.ones(height * width) for height, width in _sizes(latent_h, latent_w, levels)]
    frame = IPAdapterMaskProcessor().preprocess(Image.fromarray(mask), LATENT_PX * latent_h, LATENT_PX * latent_w)
    return [
        interpolate(frame.float(), size=size, mode="bicubic").flatten() for size in _sizes(latent_h, latent_w, levels)
    ]


def _sizes(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """A level has half of the one before; an odd side is rounded up, as a convolution with stride two does."""
    sizes = [(height, width)]
    for _ in range(levels - 1):
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return sizes
