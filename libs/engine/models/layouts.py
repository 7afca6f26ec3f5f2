"""The published configurations of the architectures, for checkpoints that come as one file and bring none.

Source: the configuration files of the published checkpoints (SDXL base 1.0, its refiner, SD 2.1 base).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.models.vocabulary import VOCABULARY_SIZE, write_tokenizer

__all__ = ["LAYOUTS", "SCHEDULER", "write_layout"]


def _text(width: int, layers: int, heads: int, projection: int, activation: str) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "projection_dim": projection,
        "hidden_act": activation,
        "max_position_embeddings": 77,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def _unet(widths: tuple[int, ...], attended: str, **more: Any) -> dict[str, Any]:
    """Return settings; ``attended`` has an x for each level with cross attention, from the outside in."""
    down = ["CrossAttnDownBlock2D" if each == "x" else "DownBlock2D" for each in attended]
    up = ["CrossAttnUpBlock2D" if each == "x" else "UpBlock2D" for each in reversed(attended)]
    return {
        "block_out_channels": widths,
        "down_block_types": down,
        "up_block_types": up,
        "layers_per_block": 2,
        "use_linear_projection": True,
        **more,
    }


def _vae(sample_size: int, scaling_factor: float, **more: Any) -> dict[str, Any]:
    return {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": sample_size,
        "scaling_factor": scaling_factor,
        **more,
    }


SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
_BIG_TEXT = _text(1280, 32, 20, 1280, "gelu")
_SDXL_VAE = _vae(1024, 0.13025, force_upcast=True)
_TOLD = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256, "sample_size": 128}

LAYOUTS: dict[str, dict[str, dict[str, Any]]] = {
    "sdxl": {
        "unet": _unet(
            (320, 640, 1280),
            "-xx",
            **_TOLD,
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            projection_class_embeddings_input_dim=2816,
            transformer_layers_per_block=(1, 2, 10),
        ),
        "vae": _SDXL_VAE,
        "text_encoder": _text(768, 12, 12, 768, "quick_gelu"),
        "text_encoder_2": _BIG_TEXT,
    },
    "sdxl-refiner": {
        "unet": _unet(
            (384, 768, 1536, 1536),
            "-xx-",
            **_TOLD,
            attention_head_dim=(6, 12, 24, 24),
            cross_attention_dim=1280,
            projection_class_embeddings_input_dim=2560,
            transformer_layers_per_block=4,
        ),
        "vae": _SDXL_VAE,
        "text_encoder_2": _BIG_TEXT,
    },
    "sd2": {
        "unet": _unet(
            (320, 640, 1280, 1280), "xxx-", attention_head_dim=(5, 10, 20, 20), cross_attention_dim=1024, sample_size=64
        ),
        "vae": _vae(512, 0.18215),
        "text_encoder": _text(1024, 23, 16, 512, "gelu"),
    },
}


def write_layout(folder: Path, architecture: str, scheduler: dict[str, Any]) -> None:
    """Write configurations and tokenizers into a folder; ``scheduler`` replaces settings of the usual one."""
    for component, settings in LAYOUTS[architecture].items():
        _write(folder / component / "config.json", settings)
    _write(folder / "scheduler" / "scheduler_config.json", SCHEDULER | scheduler)
    if "text_encoder" in LAYOUTS[architecture]:
        write_tokenizer(folder / "tokenizer", padding="!" if architecture == "sd2" else "<|endoftext|>")
    if "text_encoder_2" in LAYOUTS[architecture]:
        write_tokenizer(folder / "tokenizer_2", padding="!")


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")
