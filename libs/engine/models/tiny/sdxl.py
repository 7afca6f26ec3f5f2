"""A small SDXL: the same networks, two blocks instead of three, narrow, for pictures of about 256 pixels a side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.models.tiny.weights import fill
from engine.models.vocabulary import VOCABULARY_SIZE, write_tokenizer

__all__ = [
    "FIRST_WIDTH", "POOLED_WIDTH", "SECOND_WIDTH", "TIME_WIDTH", "make_tiny", "networks", "scheduler", "text_config",
    "unet", "vae",
]  # fmt: skip

FIRST_WIDTH = 24
SECOND_WIDTH = 32
POOLED_WIDTH = 40
TIME_WIDTH = 8
_TIME_IDS = 6


def make_tiny(folder: Path, seed: int = 0) -> None:
    """Write a whole diffusers folder: float32, about 14 MB, native 256 px; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks(seed).items():
        network.save_pretrained(folder / name, safe_serialization=True)
    scheduler().save_pretrained(folder / "scheduler")
    write_tokenizer(folder / "tokenizer")
    write_tokenizer(folder / "tokenizer_2", padding="!")
    (folder / "model_index.json").write_text(json.dumps(_INDEX, indent=2), encoding="utf-8")


def networks(seed: int = 0) -> dict[str, Any]:
    """Return the networks by the names of their folders."""
    return {
        "unet": unet(seed),
        "vae": vae(seed),
        "text_encoder": fill(CLIPTextModel(text_config(FIRST_WIDTH, heads=3)), seed),
        "text_encoder_2": fill(
            CLIPTextModelWithProjection(text_config(SECOND_WIDTH, heads=4, projection=POOLED_WIDTH)), seed + 1
        ),
    }


def unet(seed: int, **changes: Any) -> Any:
    """Return the denoiser; ``changes`` replaces settings of its configuration."""
    settings: dict[str, Any] = {
        "sample_size": 32,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2,
        "layers_per_block": 1,
        "transformer_layers_per_block": (1, 2),
        "attention_head_dim": (1, 2),
        "norm_num_groups": 8,
        "use_linear_projection": True,
        "cross_attention_dim": FIRST_WIDTH + SECOND_WIDTH,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIME_WIDTH,
        "projection_class_embeddings_input_dim": POOLED_WIDTH + _TIME_IDS * TIME_WIDTH,
    }
    return fill(UNet2DConditionModel(**(settings | changes)), seed)


def vae(seed: int, **changes: Any) -> Any:
    """Return the autoencoder; it makes eight pixels of one latent, as the published ones do."""
    settings: dict[str, Any] = {
        "sample_size": 256,
        "block_out_channels": (8, 8, 16, 16),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "latent_channels": 4,
        "scaling_factor": 0.13025,
        "force_upcast": True,
    }
    return fill(AutoencoderKL(**(settings | changes)), seed, {"decoder.conv_out": 0.6, "encoder.conv_out": 4.0})


def text_config(width: int, heads: int, projection: int = POOLED_WIDTH, activation: str = "gelu") -> Any:
    """Return a text encoder's configuration; the marks' numbers are those that published checkpoints state."""
    return CLIPTextConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=projection,
        num_hidden_layers=3,
        num_attention_heads=heads,
        hidden_act=activation,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def scheduler(**changes: Any) -> Any:
    """Return the scheduler that SDXL's own folder names."""
    settings: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "timestep_spacing": "leading",
        "steps_offset": 1,
    }
    return EulerDiscreteScheduler(**(settings | changes))


_INDEX = {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
