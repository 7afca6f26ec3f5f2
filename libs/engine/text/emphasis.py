"""Weights of words, applied to what an encoder says of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["emphasised"]


def emphasised(state: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Multiply each token's row of a chunk by its weight, then restore the chunk's mean.

    ``state`` has shape (1, 77, D). That is what AUTOMATIC1111's web UI calls its original emphasis: with z the state
    and w the weights, z · w · mean(z) / mean(z · w), computed in float32. Where all weights are 1, not a bit changes;
    where the weighted mean vanishes, it is not restored.
    """
    if all(weight == 1.0 for weight in weights):
        return state
    plain = state.float()
    weighted = plain * torch.tensor(weights, dtype=torch.float32).to(state.device)[:, None]
    share = plain.mean() / weighted.mean()
    return (weighted * torch.where(torch.isfinite(share), share, 1.0)).to(state.dtype)
