"""A small refiner and a small SD 2: the other architectures that the engine draws with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import CLIPTextModel, CLIPTextModelWithProjection

from engine.models.tiny.sdxl import POOLED_WIDTH, SECOND_WIDTH, TIME_WIDTH, scheduler, text_config, unet, vae
from engine.models.tiny.weights import fill
from engine.models.vocabulary import write_tokenizer

__all__ = ["make_tiny_refiner", "make_tiny_sd2"]

_REFINER_TIME_IDS = 5


def make_tiny_refiner(folder: Path, seed: int = 0) -> None:
    """Write a refiner: the second text encoder alone, told an aesthetic score; its VAE is that of the tiny SDXL."""
    told = POOLED_WIDTH + _REFINER_TIME_IDS * TIME_WIDTH
    denoiser = unet(seed + 2, cross_attention_dim=SECOND_WIDTH, projection_class_embeddings_input_dim=told)
    encoder = CLIPTextModelWithProjection(text_config(SECOND_WIDTH, heads=4, projection=POOLED_WIDTH))
    _write(folder, {"unet": denoiser, "vae": vae(seed), "text_encoder_2": fill(encoder, seed + 1)})
    write_tokenizer(folder / "tokenizer_2", padding="!")
    index = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "requires_aesthetics_score": True}
    (folder / "model_index.json").write_text(json.dumps(index | _INDEX, indent=2), encoding="utf-8")


def make_tiny_sd2(folder: Path, seed: int = 0) -> None:
    """Write an SD 2 with one text encoder, told nothing but the prompt; it predicts noise, as SD-Turbo does."""
    told = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
    denoiser = unet(seed + 3, cross_attention_dim=SECOND_WIDTH, transformer_layers_per_block=1, **dict.fromkeys(told))
    encoder = fill(CLIPTextModel(text_config(SECOND_WIDTH, heads=4)), seed + 4)
    networks = {"unet": denoiser, "vae": vae(seed + 5, scaling_factor=0.18215, force_upcast=False)}
    _write(folder, networks | {"text_encoder": encoder}, timestep_spacing="trailing")
    write_tokenizer(folder / "tokenizer", padding="!")
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionPipeline",
        "text_encoder": ["transformers", "CLIPTextModel"],
    }
    index |= {"tokenizer": ["transformers", "CLIPTokenizer"], "safety_checker": [None, None]}
    index |= {"feature_extractor": [None, None], "requires_safety_checker": False}
    common = {key: value for key, value in _INDEX.items() if not key.endswith("_2") and value != [None, None]}
    (folder / "model_index.json").write_text(json.dumps(common | index, indent=2), encoding="utf-8")


def _write(folder: Path, networks: dict[str, Any], **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        network.save_pretrained(folder / name, safe_serialization=True)
    scheduler(**changes).save_pretrained(folder / "scheduler")


_INDEX: dict[str, Any] = {
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": [None, None],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": [None, None],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
