"""A diffusers folder as one file in the layout of training, as ComfyUI and A1111 read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engine.models.networks import COMPONENTS, configuration
from engine.models.weights import weight_files

__all__ = ["as_single_file", "block_names", "write_single_file"]

_Components = Mapping[str, Mapping[str, torch.Tensor]]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def write_single_file(folder: Path, target: Path) -> None:
    """Write the checkpoint of a diffusers folder (SDXL) into one safetensors file."""
    settings = {component: configuration(folder.name, folder / component) for component in COMPONENTS}
    tensors = as_single_file({component: _tensors(folder, component) for component in COMPONENTS}, settings)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, target)


def as_single_file(components: _Components, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Return SDXL's weights by training's keys; ``components`` has them by network and diffusers' keys."""
    return dict(_entries(components, settings))


def block_names(blocks: int, layers: int) -> dict[str, str]:
    """Return what a UNet's blocks are called in training's layout, by their names in diffusers.

    Blocks of training are numbered through; each level's resampling is one of its own on the way down, and the last
    part of the level's last block on the way up.
    """
    names = {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1"}
    names["mid_block.resnets.1"] = "middle_block.2"
    for block in range(blocks):
        for layer in range(layers + 1):
            down, up = 1 + block * (layers + 1) + layer, block * (layers + 1) + layer
            if layer < layers:
                names[f"down_blocks.{block}.resnets.{layer}"] = f"input_blocks.{down}.0"
                names[f"down_blocks.{block}.attentions.{layer}"] = f"input_blocks.{down}.1"
            else:
                names[f"down_blocks.{block}.downsamplers.0.conv"] = f"input_blocks.{down}.0.op"
                names[f"up_blocks.{block}.upsamplers.0.conv"] = f"output_blocks.{up}.2.conv"
            names[f"up_blocks.{block}.resnets.{layer}"] = f"output_blocks.{up}.0"
            names[f"up_blocks.{block}.attentions.{layer}"] = f"output_blocks.{up}.1"
    return names


def _entries(components: _Components, settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, torch.Tensor]]:
    blocks = block_names(len(settings["unet"]["block_out_channels"]), settings["unet"]["layers_per_block"])
    for key, tensor in components["unet"].items():
        yield f"model.diffusion_model.{_unet_key(key, blocks)}", tensor
    levels = len(settings["vae"]["block_out_channels"])
    for key, tensor in components["vae"].items():
        name = _vae_key(key, levels)
        convolved = ".attn_1." in name and tensor.ndim == 2
        yield f"first_stage_model.{name}", tensor[..., None, None] if convolved else tensor
    for key, tensor in components["text_encoder"].items():
        yield f"conditioner.embedders.0.transformer.text_model.{key.removeprefix('text_model.')}", tensor
    for key, tensor in _open_clip(components["text_encoder_2"]):
        yield f"conditioner.embedders.1.model.{key}", tensor


def _tensors(folder: Path, component: str) -> dict[str, torch.Tensor]:
    files = weight_files(folder.name, folder / component)
    return {key: tensor for path in files for key, tensor in load_file(path).items()}


def _unet_key(key: str, blocks: dict[str, str]) -> str:
    start = next((each for each in (*blocks, *_UNET_ENDS) if key.startswith(f"{each}.")), "")
    rest = key.removeprefix(start)
    if ".resnets." in start:
        rest = _replaced(rest, _RESNET)
    return (blocks | _UNET_ENDS)[start] + rest


def _vae_key(key: str, levels: int) -> str:
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", key)
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{levels - 1 - int(found[1])}", key)
    key = key.replace(".upsamplers.0.", ".upsample.").replace(".resnets.", ".block.")
    if "mid_block.attentions.0." in key:
        return _replaced(key.replace("mid_block.attentions.0", "mid.attn_1"), _VAE_ATTENTION)
    return key


def _open_clip(tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield OpenCLIP's keys: queries, keys and values of a layer are one matrix, the projection is transposed."""
    ends = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.weight": "ln_final.weight",
        "text_model.final_layer_norm.bias": "ln_final.bias",
    }
    for key, tensor in tensors.items():
        layer = key.replace("text_model.encoder.layers.", "transformer.resblocks.")
        if key == "text_projection.weight":
            yield "text_projection", tensor.T
        elif key in ends:
            yield ends[key], tensor
        elif ".q_proj." in key:
            joined = torch.cat([tensors[key.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"])
            yield layer.replace("self_attn.q_proj.", "attn.in_proj_"), joined
        elif not re.search(r"\.[kv]_proj\.", key):
            yield _replaced(layer, _OPEN_CLIP), tensor


def _replaced(key: str, names: dict[str, str]) -> str:
    return next((key.replace(f"{old}.", f"{new}.") for old, new in names.items() if f"{old}." in key), key)
