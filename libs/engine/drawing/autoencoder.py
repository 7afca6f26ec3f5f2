"""Between pixels and latents: what goes through the autoencoder, in the units that both sides are kept in."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from numpy.typing import NDArray

from engine.checkpoint import Checkpoint

__all__ = ["decode", "drawn_from", "encode", "pixels_of", "tensor_of"]


def encode(checkpoint: Checkpoint, picture: torch.Tensor) -> torch.Tensor:
    """Return mean and log variance of the latent: (1, 2C, h / 8, w / 8), float32, of a picture (1, 3, h, w), -1..1."""
    moments = checkpoint.vae.encode(picture.to(checkpoint.vae.dtype)).latent_dist.parameters
    return moments.float()


def drawn_from(checkpoint: Checkpoint, moments: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a latent, as large as the UNet has it, from what ``encode`` gave; the generator is on the CPU."""
    latent = DiagonalGaussianDistribution(moments).sample(generator)
    scale = checkpoint.vae.config.scaling_factor
    if checkpoint.latent_statistics is None:
        return latent * scale
    mean, std = checkpoint.latent_statistics
    return (latent - mean) * scale / std


def decode(checkpoint: Checkpoint, latent: torch.Tensor) -> torch.Tensor:
    """Return the picture of a latent (1, C, h, w): (1, 3, 8h, 8w), float32, about -1..1."""
    return checkpoint.vae.decode(_plain(checkpoint, latent).to(checkpoint.vae.dtype), return_dict=False)[0].float()


def tensor_of(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Return RGB (h, w, 3) as (1, 3, h, w), float32, -1..1."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(2, 0, 1)[None].float()
    return 2.0 * (picture / 255.0) - 1.0


def pixels_of(picture: torch.Tensor) -> NDArray[np.uint8]:
    """Return a decoded picture as RGB, uint8 (h, w, 3). Waits for the device."""
    levels = ((picture[0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return np.asarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())


def _plain(checkpoint: Checkpoint, latent: torch.Tensor) -> torch.Tensor:
    """Return a latent as the autoencoder has it."""
    scale = checkpoint.vae.config.scaling_factor
    if checkpoint.latent_statistics is None:
        return latent / scale
    mean, std = checkpoint.latent_statistics
    return latent * std / scale + mean
