"""The names that LoRA files call a network's layers by: three habits of writing for the denoiser, two for text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from engine.checkpoint import Checkpoint
from engine.variants.blocks import original_name

__all__ = ["layer_names", "networks"]

_TEXT_PREFIX = "text_model."
_OLD_TEXT = {"q_proj": "to_q_lora", "k_proj": "to_k_lora", "v_proj": "to_v_lora", "out_proj": "to_out_lora"}
_ATTENTION = re.compile(r"(?P<attention>.+\.attn\d)\.(?P<part>to_[qkv]|to_out)(\.0)?$")


def networks(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what LoRAs change, by diffusers' names: ``unet``, ``text_encoder``, ``text_encoder_2``."""
    first = ["text_encoder_2"] if checkpoint.architecture == "sdxl-refiner" else ["text_encoder", "text_encoder_2"]
    return {"unet": checkpoint.unet, **dict(zip(first, checkpoint.text_encoders, strict=False))}


def layer_names(checkpoint: Checkpoint) -> dict[str, tuple[str, str]]:
    """Return (network, path of the weight's module) by each name that a file may use for it."""
    names: dict[str, tuple[str, str]] = {}
    for network, module in networks(checkpoint).items():
        spelled = _denoiser_names(module) if network == "unet" else _text_names(network, module)
        names.update((name, (network, path)) for name, path in spelled)
    return names


def _denoiser_names(unet: Any) -> Iterator[tuple[str, str]]:
    """Kohya's trainer works on the original SDXL network, others on diffusers'; each spells its own module tree."""
    attending = [index for index, block in enumerate(unet.up_blocks) if hasattr(block, "attentions")]
    for path in _layers(unet):
        yield f"unet.{path}", path
        yield f"lora_unet_{path.replace('.', '_')}", path
        if original := original_name(path, unet.config.layers_per_block, attending):
            yield f"lora_unet_{original.replace('.', '_')}", path
        if found := _ATTENTION.match(path):
            yield f"unet.{found['attention']}.processor.{found['part']}_lora", path


def _text_names(network: str, encoder: Any) -> Iterator[tuple[str, str]]:
    prefixes = ("lora_te2_",) if network == "text_encoder_2" else ("lora_te1_", "lora_te_")
    for path in _layers(encoder):
        bare = path.removeprefix(_TEXT_PREFIX)
        full = bare if bare == "text_projection" else _TEXT_PREFIX + bare
        yield from ((f"{network}.{each}", path) for each in {bare, full})
        yield from ((prefix + full.replace(".", "_"), path) for prefix in prefixes)
        block, _, part = full.rpartition(".")
        if part in _OLD_TEXT:
            yield f"{network}.{block}.{_OLD_TEXT[part]}", path


def _layers(network: Any) -> Iterator[str]:
    return (path for path, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d))
