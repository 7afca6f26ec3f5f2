"""A cheap look at a latent: one linear map per latent pixel instead of the decoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Preview"]

FACTORS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "sdxl": ((60, 60, 60), (-60, -5, 10), (25, 15, -5), (-70, -50, -35)),
    "sd2": ((38.0, 26.4, 26.5), (23.8, 36.5, 22.1), (-20.1, 24.1, 33.7), (-23.5, -34.6, -60.3)),
}
"""Red, green and blue (0..255) for each of the four latent channels.

Sources: T. A. Vass, Explaining the SDXL latent space (Hugging Face, 2023); for the older autoencoder the factors of
"Decoding latents to RGB without upscaling" (discuss.huggingface.co, 2022), times 127.5.
"""
BIAS: Mapping[str, tuple[float, float, float]] = {"sdxl": (150, 140, 130), "sd2": (127.5, 127.5, 127.5)}


class Preview:
    """A latent (1, 4, h, w) on its way from the device as RGB, uint8 (h, w, 3); nobody has waited for it yet.

    Noise that is still in it is scaled down to one, so the colours stay readable from the first step.
    """

    def __init__(self, latent: torch.Tensor, architecture: str) -> None:
        colours = _colours(latent, architecture if architecture in FACTORS else "sdxl")
        self._arrival = None
        if colours.is_cuda:
            self._host = torch.empty(colours.shape, dtype=colours.dtype, pin_memory=True)
            self._host.copy_(colours, non_blocking=True)
            self._arrival = torch.cuda.Event()
            self._arrival.record()
        else:
            self._host = colours

    @property
    def has_arrived(self) -> bool:
        """Whether ``pixels`` would not wait."""
        return self._arrival is None or bool(self._arrival.query())

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture."""
        if self._arrival is not None:
            self._arrival.synchronize()
        return np.asarray(self._host.numpy())


def _colours(latent: torch.Tensor, family: str) -> torch.Tensor:
    factors, bias = _map(family, latent.device)
    calm = latent[0].float() / latent.float().std().clamp(min=1.0)
    colours = torch.einsum("chw,cr->hwr", calm, factors) + bias
    return colours.nan_to_num(0.0).clamp(0, 255).to(torch.uint8)


@lru_cache(maxsize=8)
def _map(family: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Put once on a device: each such copy waits for it."""
    factors, bias = (torch.tensor(each[family], dtype=torch.float32, device=device) for each in (FACTORS, BIAS))
    return factors, bias
