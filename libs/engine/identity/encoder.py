"""CLIP's image encoder, which adapters look through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import CLIPVisionModelWithProjection

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.networks import configuration, require_finite
from engine.models.unreadable import said_of
from engine.models.weights import weight_files

__all__ = ["encoder_width", "load_encoder"]


def encoder_width(name: str, folder: Path) -> int:
    """Return the width of what an encoder says of each patch, from its configuration."""
    return int(configuration(name, folder).get("hidden_size", 0))


def load_encoder(name: str, folder: Path, checkpoint: Checkpoint) -> Any:
    """Read an encoder onto a checkpoint's device and in its dtype. ``name`` is what errors call it."""
    weight_files(name, folder)
    try:
        encoder, found = CLIPVisionModelWithProjection.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=checkpoint.dtype, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnusable(name, f"its image encoder cannot be read: {said_of(error, folder)}") from error
    if missing := sorted(found["missing_keys"]):
        raise ModelUnusable(name, f"its image encoder lacks {missing[0]!r}")
    require_finite(name, "image encoder", encoder)
    return encoder.to(checkpoint.device).eval().requires_grad_(False)
