"""A ControlNet from disk: a copy of the denoiser's first half that looks at a picture."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ControlNetModel

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.networks import configuration, require_finite
from engine.models.verification import verified
from engine.models.weights import read, weight_files

__all__ = ["load_network"]

_COMMON = ("cross_attention_dim", "block_out_channels", "layers_per_block", "addition_embed_type")
"""Settings that a ControlNet shares with the denoiser it was made for."""
_LONGEST = 300


def load_network(entry: Entry, checkpoint: Checkpoint) -> Any:
    """Read a ControlNet onto a checkpoint's device and in its dtype. Raises ``ModelUnusable``."""
    verified(entry)
    settings = configuration(entry.name, entry.path)
    _require_same_base(entry, settings, checkpoint.unet.config)
    try:
        with torch.device("meta"):
            network = ControlNetModel.from_config(settings)
        weights = read(entry.name, weight_files(entry.name, entry.path))
        placed = {key: each.to(checkpoint.device, checkpoint.dtype, copy=True) for key, each in weights.items()}
        network.load_state_dict(placed, assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelUnusable(entry.name, f"it cannot be read: {str(error)[:_LONGEST]}") from error
    require_finite(entry.name, "ControlNet", network)
    return network.eval().requires_grad_(False)


def _require_same_base(entry: Entry, settings: dict[str, Any], denoiser: Any) -> None:
    for key in _COMMON:
        own, wanted = settings.get(key), getattr(denoiser, key)
        if (tuple(own) if isinstance(own, list) else own) != (tuple(wanted) if isinstance(wanted, list) else wanted):
            raise ModelUnusable(entry.name, f"its {key} is {own}, the checkpoint's is {wanted}")
