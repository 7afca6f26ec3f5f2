"""Checkpoints as one file, in the layout of their training, into the networks that they consist of.

What the keys become is diffusers' knowledge: its converters are called. Which encoder lies where is the published
layout of each architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)

from engine.errors import ModelUnusable
from engine.models.weights import described

__all__ = ["as_components", "is_single_file"]

_Tensors = Mapping[str, Any]
"""Tensors, or what stands for those that were not read yet."""
_UNET = "model.diffusion_model."
_OPEN_CLIP = (
    ("text_encoder_2", "conditioner.embedders.1.model."),
    ("text_encoder_2", "conditioner.embedders.0.model."),
    ("text_encoder", "cond_stage_model.model."),
)
"""Where an encoder of OpenCLIP's layout lies: SDXL's second, the refiner's only one, SD 2's only one."""
_FIRST_CLIP = "conditioner.embedders.0.transformer."


def is_single_file(name: str, path: Path) -> bool:
    """Tell whether a file is a whole checkpoint. Raises ``ModelUnusable`` for a damaged one."""
    return any(key.startswith(_UNET) for key in described(name, path))


def as_components(name: str, tensors: _Tensors, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, _Tensors]:
    """Return weights by component and diffusers' keys; ``settings`` are the components' configurations."""
    try:
        found: dict[str, _Tensors] = {
            "unet": convert_ldm_unet_checkpoint(tensors, settings["unet"]),
            "vae": convert_ldm_vae_checkpoint(tensors, settings["vae"]),
        }
        found.update(_text_encoders(tensors, settings))
    except (KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise ModelUnusable(name, f"its keys are not those of a whole checkpoint: {error!r}") from error
    if lacking := [component for component in settings if not found.get(component)]:
        raise ModelUnusable(name, f"the file has no {lacking[0]}")
    return found


def _text_encoders(tensors: _Tensors, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, _Tensors]:
    found: dict[str, _Tensors] = {}
    if any(key.startswith(_FIRST_CLIP) for key in tensors):
        found["text_encoder"] = convert_ldm_clip_checkpoint(tensors)
    for component, prefix in _OPEN_CLIP:
        if component in settings and any(key.startswith(prefix) for key in tensors):
            found[component] = _from_open_clip(tensors, prefix, settings[component])
    return found


def _from_open_clip(tensors: _Tensors, prefix: str, settings: Mapping[str, Any]) -> _Tensors:
    """Convert an encoder; the converter takes the width, by which it splits attention, from the projection."""
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=settings["hidden_size"]))
    own = {key: tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    return dict(convert_open_clip_checkpoint(model, own, prefix=prefix))
