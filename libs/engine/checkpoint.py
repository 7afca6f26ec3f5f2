"""A checkpoint in memory: the networks of one model with their weights, on one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    so it names what is drawn with.
    """

    name: str
    architecture: str
    sha256: str
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    scheduler_config: Mapping[str, Any]
    native_px: int
    device: torch.device
    dtype: torch.dtype
    licence: str = ""
    commercial: bool = True
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by file name."""

    @property
    def weight_bytes(self) -> int:
        """What the weights take of the device's memory."""
        networks = (self.unet, self.vae, *self.text_encoders)
        return sum(each.numel() * each.element_size() for network in networks for each in network.parameters())
