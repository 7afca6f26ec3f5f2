"""SDXL at full size with random weights, made on the device: what its speed depends on, without its files.

Sizes of the networks: Podell et al., SDXL (2023), and the configuration files of the published base model.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.checkpoint import Checkpoint

UNET: dict[str, Any] = {
    "sample_size": 128,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
UNET_PARAMETERS = 2_567_463_684
VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
}
CLIP_L: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "eos_token_id": 49407,
}
CLIP_G: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
    "eos_token_id": 49407,
}
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
SEED = 7


def full_size(device: torch.device, dtype: torch.dtype, shrink: int = 1) -> Checkpoint:
    """Return a checkpoint; ``shrink`` divides widths and depths for a trial on a CPU, 1 is the published size."""
    torch.manual_seed(SEED)
    with torch.device(device):
        unet = UNet2DConditionModel(**_unet(shrink))
        vae = AutoencoderKL(**_vae(shrink))
        encoders = (CLIPTextModel(_clip(CLIP_L, shrink)), CLIPTextModelWithProjection(_clip(CLIP_G, shrink)))
    if shrink == 1 and (count := sum(each.numel() for each in unet.parameters())) != UNET_PARAMETERS:
        raise AssertionError(f"the UNet has {count} parameters instead of {UNET_PARAMETERS}")
    networks = [each.to(dtype).eval().requires_grad_(False) for each in (unet, vae, *encoders)]
    return Checkpoint(
        name="random-sdxl",
        architecture="sdxl",
        sha256=f"random-{SEED}-{shrink}",
        unet=networks[0],
        vae=networks[1],
        text_encoders=tuple(networks[2:]),
        tokenizers=(),
        scheduler_config=SCHEDULER,
        native_px=1024,
        device=device,
        dtype=dtype,
    )


def _unet(shrink: int) -> dict[str, Any]:
    if shrink == 1:
        return UNET
    cross = (CLIP_L["hidden_size"] + CLIP_G["hidden_size"]) // shrink
    pooled = CLIP_G["projection_dim"] // shrink
    return UNET | {
        "block_out_channels": tuple(each // shrink // 32 * 32 or 32 for each in UNET["block_out_channels"]),
        "transformer_layers_per_block": (1, 1, 1),
        "attention_head_dim": (1, 1, 1),
        "cross_attention_dim": cross,
        "projection_class_embeddings_input_dim": pooled + 6 * UNET["addition_time_embed_dim"],
    }


def _vae(shrink: int) -> dict[str, Any]:
    channels = tuple(max(32, each // shrink // 32 * 32) for each in VAE["block_out_channels"])
    return VAE | {"block_out_channels": channels}


def _clip(sizes: dict[str, Any], shrink: int) -> CLIPTextConfig:
    if shrink == 1:
        return CLIPTextConfig(**sizes)
    narrow = {key: sizes[key] // shrink for key in ("hidden_size", "intermediate_size", "projection_dim")}
    return CLIPTextConfig(**(sizes | narrow | {"num_hidden_layers": 2, "num_attention_heads": 1}))
