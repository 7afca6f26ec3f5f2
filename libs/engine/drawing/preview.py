"""A cheap look at a latent: one linear map per latent pixel instead of the decoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["latent_rgb"]

FACTORS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "sdxl": ((60, 60, 60), (-60, -5, 10), (25, 15, -5), (-70, -50, -35)),
    "sd2": ((38.0, 26.4, 26.5), (23.8, 36.5, 22.1), (-20.1, 24.1, 33.7), (-23.5, -34.6, -60.3)),
}
"""Red, green and blue (0..255) for each of the four latent channels.

Sources: T. A. Vass, Explaining the SDXL latent space (Hugging Face, 2023); for the older autoencoder the factors of
"Decoding latents to RGB without upscaling" (discuss.huggingface.co, 2022), times 127.5.
"""
BIAS: Mapping[str, tuple[float, float, float]] = {"sdxl": (150, 140, 130), "sd2": (127.5, 127.5, 127.5)}


def latent_rgb(latent: torch.Tensor, architecture: str) -> NDArray[np.uint8]:
    """Return a latent (1, 4, h, w) as RGB, uint8 (h, w, 3). Waits for the device.

    Noise that is still in it is scaled down to one, so the colours stay readable from the first step.
    """
    family = architecture if architecture in FACTORS else "sdxl"
    factors = torch.tensor(FACTORS[family], dtype=torch.float32, device=latent.device)
    bias = torch.tensor(BIAS[family], dtype=torch.float32, device=latent.device)
    calm = latent[0].float() / latent.float().std().clamp(min=1.0)
    colours = torch.einsum("chw,cr->hwr", calm, factors) + bias
    return np.asarray(colours.nan_to_num(0.0).clamp(0, 255).to(torch.uint8).cpu().numpy())
