"""Classifier-free guidance."""

from __future__ import annotations

import torch

__all__ = ["guided", "rescaled"]


def guided(unconditional: torch.Tensor, conditional: torch.Tensor, scale: float, rescale: float) -> torch.Tensor:
    """Return the model's output pushed away from the unconditional one. All float32 (1, C, h, w).

    Source: Ho & Salimans, Classifier-Free Diffusion Guidance (2022), eq. 6 with its w + 1 as ``scale``.
    """
    output = unconditional + scale * (conditional - unconditional)
    return rescaled(output, conditional, rescale) if rescale > 0 else output


def rescaled(output: torch.Tensor, conditional: torch.Tensor, share: float) -> torch.Tensor:
    """Give the guided output, by ``share`` 0..1, the contrast of the conditional one.

    Source: Lin et al., Common Diffusion Noise Schedules and Sample Steps are Flawed (2023), eq. 14 to 16.
    """
    axes = list(range(1, output.ndim))
    contrast = conditional.std(dim=axes, keepdim=True) / output.std(dim=axes, keepdim=True)
    return share * (output * contrast) + (1 - share) * output
