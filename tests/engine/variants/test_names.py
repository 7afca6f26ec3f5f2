"""At full size too, every layer has the name in the original network that diffusers' own converter knows it by."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import (
    _convert_non_diffusers_lora_to_diffusers,
    _maybe_map_sgm_blocks_to_diffusers,
)
from torch import nn

from engine.variants.blocks import original_name

SDXL = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "cross_attention_dim": 2048,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
"""The denoiser of stable-diffusion-xl-base-1.0. Source: its published configuration."""


def converted(unet, path, name):
    """Return the path that diffusers reads out of a layer's name in Kohya's file."""
    key = f"lora_unet_{name.replace('.', '_')}"
    tensors = {f"{key}.lora_down.weight": torch.zeros(1), f"{key}.lora_up.weight": torch.zeros(1)}
    found, _ = _convert_non_diffusers_lora_to_diffusers(_maybe_map_sgm_blocks_to_diffusers(tensors, unet.config))
    down = next(each for each in found if ".down." in each).removeprefix("unet.")
    path = down.removesuffix(".lora.down.weight").removesuffix("_lora.down.weight").replace(".processor.", ".")
    return f"{path}.0" if path.endswith("to_out") else path


def test_every_layer_of_sdxl():
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SDXL)
    paths = [path for path, module in unet.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    names = {path: original_name(path, 2, [0, 1]) for path in paths}
    assert len(paths) > 700
    assert None not in names.values()
    assert len(set(names.values())) == len(paths)
    known = {path: converted(unet, path, name) for path, name in names.items()}
    assert {path: each for path, each in known.items() if path != each} == {}
