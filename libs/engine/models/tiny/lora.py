"""Small LoRAs in the three spellings that are in circulation; the same numbers in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from engine.models.tiny.sdxl import networks
from engine.models.tiny.single_file import block_names
from engine.models.tiny.weights import uniform

__all__ = ["Spelling", "make_tiny_lora"]

Spelling = Literal["kohya", "kohya-blocks", "peft"]
"""``kohya`` joins diffusers' names by underscores, ``kohya-blocks`` training's block numbers; ``peft`` keeps dots."""

_RANK = 2
_ALPHA = 1.0
_UNET_PARTS = ("to_q", "to_k", "to_v", "to_out.0")
_TEXT_PARTS = ("q_proj", "k_proj", "v_proj", "out_proj")
_KOHYA = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}


def make_tiny_lora(path: Path, spelling: Spelling = "kohya", seed: int = 0, strength: float = 0.5) -> None:
    """Write a LoRA of rank 2 and alpha 1 on all attention of the tiny SDXL's UNet and on its text encoders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for component, layer, weight in _layers():
        down = uniform(f"{component}.{layer}.down", (_RANK, weight.shape[1]), weight.shape[1] ** -0.5, seed)
        up = uniform(f"{component}.{layer}.up", (weight.shape[0], _RANK), strength, seed)
        tensors.update(_SPELLED[spelling](component, layer, down, up))
    save_file(tensors, path)


def _layers() -> list[tuple[str, str, torch.Tensor]]:
    found = []
    for component, network in networks().items():
        parts = {"unet": _UNET_PARTS, "vae": ()}.get(component, _TEXT_PARTS)
        for key, weight in network.named_parameters():
            layer = key.removesuffix(".weight")
            if layer != key and layer.endswith(tuple(f".{part}" for part in parts)) and "attn" in layer:
                found.append((component, layer if component == "unet" else _wrapped(layer), weight))
    return found


def _wrapped(layer: str) -> str:
    """Return a text encoder's layer by the name that files have for it, whatever the class calls it."""
    return f"text_model.{layer.removeprefix('text_model.')}"


def _kohya(component: str, layer: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    name = f"{_KOHYA[component]}_{layer.replace('.', '_')}"
    alpha = torch.tensor(_ALPHA)
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": alpha}


def _kohya_blocks(component: str, layer: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    if component == "unet":
        names = block_names(blocks=2, layers=1)
        start = next(each for each in names if layer.startswith(f"{each}."))
        layer = names[start] + layer.removeprefix(start)
    return _kohya(component, layer, down, up)


def _peft(component: str, layer: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    """Spell without an alpha: what it would divide by is in the numbers."""
    name = f"{component}.{layer}"
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up * (_ALPHA / _RANK)}


_SPELLED: dict[str, Callable[..., dict[str, Any]]] = {"kohya": _kohya, "kohya-blocks": _kohya_blocks, "peft": _peft}
