"""What a model is, from its settings or from the keys and shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["of_settings", "of_tensors"]

_Shapes = Mapping[str, tuple[int, ...]]
_UNET = "model.diffusion_model."
_BASE_NUMBERS = 6
_REFINER_NUMBERS = 5
_MARKS = {
    "image_proj.": "ip-adapter",
    ".lora_down.": "lora",
    ".lora_A.": "lora",
    ".lora.down.": "lora",
    "controlnet_cond_embedding.": "controlnet",
    "visual_projection.": "image-encoder",
}
"""What a key has in it that no other kind of model has."""
_OF_WIDTH = {768: "sd1", 1024: "sd2"}
"""Architectures by the width of the text that their attention reads, where it is not SDXL's."""


def of_settings(unet: Mapping[str, Any], second_encoder: Mapping[str, Any] | None) -> str | None:
    """Return the architecture of a checkpoint in diffusers' layout, None for what is not known.

    Beside the pooled text SDXL is told six numbers: size, crop, target size; its refiner five: an aesthetic score
    for the target. Source: Podell et al., SDXL (2023), section 2.2, and the published configurations.
    """
    if unet.get("addition_embed_type") == "text_time":
        pooled = int((second_encoder or {}).get("projection_dim", 0))
        numbers = int(unet.get("projection_class_embeddings_input_dim") or 0) - pooled
        width = int(unet.get("addition_time_embed_dim") or 0)
        return {_BASE_NUMBERS * width: "sdxl", _REFINER_NUMBERS * width: "sdxl-refiner"}.get(numbers)
    return "sd2" if unet.get("use_linear_projection") and not unet.get("addition_embed_type") else None


def of_tensors(shapes: _Shapes) -> tuple[str, str] | None:
    """Return kind and architecture of a file, None for what is not known."""
    if any(key.startswith(_UNET) for key in shapes):
        architecture = _of_single_file(shapes)
        return (_kind(architecture), architecture) if architecture else None
    if set(shapes) == {"clip_l", "clip_g"}:
        return "embedding", "sdxl"
    kind = next((kind for mark, kind in _MARKS.items() if any(mark in key for key in shapes)), None)
    return (kind, "clip" if kind == "image-encoder" else _of_text_width(shapes)) if kind else None


def _of_text_width(shapes: _Shapes) -> str:
    """Return the architecture that an addition was made for: keys of cross attention are as wide as the text."""
    keys = (key for key in shapes if ("attn2" in key and "to_k" in key) or ".to_k_ip." in key)
    widths = (
        shapes[key][-1]
        for key in keys
        if not any(part in key for part in (".lora_up.", ".lora.up.", ".lora_B.", "alpha"))
    )
    return _OF_WIDTH.get(next(widths, 0), "sdxl")


def _kind(architecture: str) -> str:
    return "refiner" if architecture == "sdxl-refiner" else "checkpoint"


def _of_single_file(shapes: _Shapes) -> str | None:
    if any(key.startswith("conditioner.embedders.1.model.") for key in shapes):
        return "sdxl"
    if any(key.startswith("conditioner.embedders.0.model.") for key in shapes):
        return "sdxl-refiner"
    return "sd2" if any(key.startswith("cond_stage_model.model.") for key in shapes) else None
