"""How a GPU has weights lie in memory so that it computes fastest with them."""

from __future__ import annotations

import torch

from engine.checkpoint import Checkpoint
from engine.kernels.projections import join

__all__ = ["arrange"]


def arrange(checkpoint: Checkpoint) -> None:
    """Arrange a checkpoint's weights, once our attention is installed; on a CPU they stay as they are.

    Convolutions get their channels last, which is how cuDNN computes; products over one tensor are joined.
    """
    if checkpoint.device.type != "cuda":
        return
    for network in (checkpoint.unet, checkpoint.vae):
        network.to(memory_format=torch.channels_last)
    join(checkpoint.unet)
