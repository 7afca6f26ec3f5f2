"""A checkpoint in memory: the networks of one model with their weights, on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

__all__ = ["Checkpoint"]


@dataclass(eq=False)
class Checkpoint:
    """Networks in evaluation mode that ask for no gradients.

    ``architecture`` is ``sdxl``, ``sdxl-refiner`` or ``sd2``. ``text_encoders`` are transformers' CLIP text models in
    the order of diffusers' ``text_encoder``, ``text_encoder_2`` (absent ones left out), ``tokenizers`` theirs.
    ``unet`` is diffusers' ``UNet2DConditionModel``, ``vae`` its ``AutoencoderKL``, whose dtype may differ from
    ``dtype`` (an SDXL VAE in half precision goes black). ``scheduler_config`` is that of the checkpoint's own
    scheduler. ``native_px`` is the side of the square that it was trained on. ``sha256`` is over all files that decide,
    so it names what is drawn with. ``zeros_for_empty`` says that it was trained to take an empty negative prompt as
    zeros.
    """

    name: str
    architecture: str
    sha256: str
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: Sequence[Any]
    scheduler_config: Mapping[str, Any]
    native_px: int
    device: torch.device
    dtype: torch.dtype
    zeros_for_empty: bool = False
    licence: str = ""
    commercial: bool = True
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by file name."""
    latent_statistics: tuple[torch.Tensor, torch.Tensor] | None = field(init=False)
    """Mean and deviation by channel that its latents are scaled by, both (1, C, 1, 1), float32; SDXL's own has none."""

    def __post_init__(self) -> None:
        """Make what drawing would otherwise copy from main memory at each picture."""
        self.latent_statistics = _statistics(self.vae.config, self.device)

    @property
    def place(self) -> str:
        """What it is as it lies in memory: the same files under two names lie there twice."""
        return f"{self.name} {self.sha256}"

    @cached_property
    def weight_bytes(self) -> int:
        """What the weights take of the device's memory."""
        networks = (self.unet, self.vae, *self.text_encoders)
        return sum(each.numel() * each.element_size() for network in networks for each in network.parameters())


def _statistics(config: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor] | None:
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or std is None:
        return None
    mean, std = (torch.tensor(each, dtype=torch.float32, device=device).view(1, -1, 1, 1) for each in (mean, std))
    return mean, std
