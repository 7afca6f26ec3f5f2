"""A small IP-Adapter Plus with its image encoder, a small ControlNet, a small textual inversion."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine.models.tiny.sdxl import FIRST_WIDTH, SECOND_WIDTH, unet
from engine.models.tiny.weights import fill, uniform

__all__ = ["make_tiny_controlnet", "make_tiny_embedding", "make_tiny_image_encoder", "make_tiny_ip_adapter"]

IMAGE_WIDTH = 32
TOKENS = 16
_WIDTH = 40
_LAYERS = 4
_HEAD = 64
"""The width of an attention head in the published resampler; readers divide by it to count the heads."""
_MEAN = [0.48145466, 0.4578275, 0.40821073]
_DEVIATION = [0.26862954, 0.26130258, 0.27577711]
"""Per colour, of what CLIP was trained on. Source: Radford et al. (2021), the published preprocessing."""


def make_tiny_ip_adapter(path: Path, seed: int = 0) -> None:
    """Write an adapter with a resampler: 16 tokens a picture, from the encoder's last but one layer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"image_proj.{key}": value for key, value in _resampler(seed).items()}
    context = FIRST_WIDTH + SECOND_WIDTH
    for index, (name, processor) in enumerate(unet(seed).attn_processors.items()):
        del processor
        if name.endswith("attn2.processor"):
            for part in ("to_k_ip", "to_v_ip"):
                shape = (_attention_width(name), context)
                tensors[f"ip_adapter.{index}.{part}.weight"] = uniform(f"{name}.{part}", shape, context**-0.5, seed)
    save_file(tensors, path)


def make_tiny_image_encoder(folder: Path, seed: int = 0) -> None:
    """Write a CLIP vision encoder: pictures of 224 pixels as 49 patches, with how they are to be prepared."""
    settings = CLIPVisionConfig(
        hidden_size=IMAGE_WIDTH,
        intermediate_size=2 * IMAGE_WIDTH,
        projection_dim=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=224,
        patch_size=32,
        hidden_act="gelu",
    )
    fill(CLIPVisionModelWithProjection(settings), seed).save_pretrained(folder, safe_serialization=True)
    size = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "resample": 3}
    said = {**size, "image_mean": _MEAN, "image_std": _DEVIATION, "rescale_factor": 1 / 255}
    (folder / "preprocessor_config.json").write_text(json.dumps(said, indent=2), encoding="utf-8")


def make_tiny_controlnet(folder: Path, seed: int = 0) -> None:
    """Write a ControlNet for the tiny SDXL; its last convolutions are not zero, so that it has an effect."""
    network = ControlNetModel.from_unet(unet(seed), conditioning_embedding_out_channels=(8, 8, 16, 16))
    fill(network, seed + 1, {"controlnet_cond_embedding": 2.0, "controlnet_": 0.5})
    network.save_pretrained(folder, safe_serialization=True)


def make_tiny_embedding(path: Path, vectors: int = 2, seed: int = 0) -> None:
    """Write a textual inversion: so many token embeddings for each text encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    widths = {"clip_l": FIRST_WIDTH, "clip_g": SECOND_WIDTH}
    save_file({key: uniform(key, (vectors, width), 1.0, seed) for key, width in widths.items()}, path)


def _attention_width(name: str) -> int:
    return 16 if name.startswith(("down_blocks.0", "up_blocks.1")) else 32


def _resampler(seed: int) -> dict[str, torch.Tensor]:
    """Return the weights of a resampler: learned queries attend to the encoder's output and to themselves.

    Keys and shapes are those of the published adapters; their feed-forward part widens four times.
    """
    context = FIRST_WIDTH + SECOND_WIDTH
    shapes: dict[str, tuple[int, ...]] = {"proj_in.weight": (_WIDTH, IMAGE_WIDTH), "proj_in.bias": (_WIDTH,)}
    shapes |= {"proj_out.weight": (context, _WIDTH), "proj_out.bias": (context,)}
    shapes |= {"norm_out.weight": (context,), "norm_out.bias": (context,)}
    for layer in range(_LAYERS):
        attention, forward = f"layers.{layer}.0", f"layers.{layer}.1"
        for norm in (f"{attention}.norm1", f"{attention}.norm2", f"{forward}.0"):
            shapes |= {f"{norm}.weight": (_WIDTH,), f"{norm}.bias": (_WIDTH,)}
        shapes |= {f"{attention}.to_q.weight": (_HEAD, _WIDTH), f"{attention}.to_kv.weight": (2 * _HEAD, _WIDTH)}
        shapes |= {f"{attention}.to_out.weight": (_WIDTH, _HEAD)}
        shapes |= {f"{forward}.1.weight": (4 * _WIDTH, _WIDTH), f"{forward}.3.weight": (_WIDTH, 4 * _WIDTH)}
    tensors = {key: _weight(key, shape, seed) for key, shape in shapes.items()}
    return tensors | {"latents": uniform("latents", (1, TOKENS, _WIDTH), 1.0, seed)}


def _weight(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    if key.endswith("bias"):
        return uniform(key, shape, 0.05, seed)
    return uniform(key, shape, 1 / sqrt(shape[1]), seed) if len(shape) > 1 else 1 + uniform(key, shape, 0.05, seed)
