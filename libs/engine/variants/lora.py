"""Reading a LoRA: for each layer that it changes, two small matrices whose product is added to the layer's weight."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.weights import described
from engine.variants.live import Layer
from engine.variants.names import layer_names, networks
from engine.variants.weights import weights_file, weights_of, words_of

__all__ = ["Change", "changes_of", "layers_of"]

_PEFT_WORDS = "lora_adapter_metadata"
_KEY = re.compile(
    r"(?P<name>.+?)\.(?:lora_(?P<new>down|up|A|B)\.weight|(?:lora\.|lora_linear_layer\.)?(?P<old>down|up)\.weight|alpha)"
)
_ROLES = {"down": "down", "up": "up", "A": "down", "B": "up", None: "alpha"}


@dataclass(frozen=True)
class Change:
    """What is added to the weight of one layer: ``factor`` times ``up`` (o, r, ..) times ``down`` (r, i, ..)."""

    network: str
    path: str
    up: torch.Tensor
    down: torch.Tensor
    factor: float

    def delta(self, device: torch.device) -> torch.Tensor:
        """Return the product, float32, (o, i * h * w).

        ``factor`` is alpha / rank. Source: Hu et al., LoRA (2021); of a convolution ``down`` has the kernel.
        """
        up, down = (each.to(device, torch.float32).flatten(1) for each in (self.up, self.down))
        return (up @ down) * self.factor


@dataclass
class _Parts:
    key: str
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)


def changes_of(entry: Entry, checkpoint: Checkpoint) -> list[Change]:
    """Read a LoRA for a checkpoint: Kohya's keys or diffusers' (peft's), linear layers and convolutions.

    Raises ``ModelUnusable`` that names the first key which the checkpoint has no layer for or whose shape does not fit.
    """
    parts = _sorted_by_layer(entry, weights_of(entry), layer_names(checkpoint))
    alphas = _Alphas(entry, words_of(entry))
    changes = [_change(entry, layer, each, alphas) for layer, each in parts.items()]
    if not changes:
        raise ModelUnusable(entry.name, "it changes no layer")
    modules = networks(checkpoint)
    for change, each in zip(changes, parts.values(), strict=True):
        _require_fit(entry, each.key, change, modules[change.network].get_submodule(change.path).weight.shape)
    return changes


def layers_of(entry: Entry, checkpoint: Checkpoint) -> set[Layer]:
    """Return the layers that a LoRA changes, from its file's header alone; keys that are not known are left out."""
    names = layer_names(checkpoint)
    found = (_KEY.fullmatch(key) for key in described(entry.name, weights_file(entry)))
    return {names[each["name"]] for each in found if each and each["name"] in names}


def _sorted_by_layer(
    entry: Entry, tensors: Mapping[str, torch.Tensor], layers: Mapping[str, Layer]
) -> dict[Layer, _Parts]:
    parts: dict[Layer, _Parts] = {}
    for key, tensor in tensors.items():
        found = _KEY.fullmatch(key)
        layer = layers.get(found["name"]) if found else None
        if found is None or layer is None:
            raise ModelUnusable(entry.name, f"the checkpoint has no layer for its key {key!r}")
        role = _ROLES[found["new"] or found["old"]]
        held = parts.setdefault(layer, _Parts(key)).tensors
        if role in held:
            raise ModelUnusable(entry.name, f"its key {key!r} names a layer a second time")
        held[role] = tensor
    return parts


def _change(entry: Entry, layer: Layer, parts: _Parts, alphas: _Alphas) -> Change:
    if not {"up", "down"} <= parts.tensors.keys():
        raise ModelUnusable(entry.name, f"one half of {parts.key!r} is missing")
    up, down = parts.tensors["up"], parts.tensors["down"]
    rank = down.shape[0] if down.ndim else 0
    own = parts.tensors.get("alpha")
    try:
        alpha = alphas.of(*layer, rank) if own is None else float(own)
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelUnusable(entry.name, f"the alpha of {parts.key!r} is no number: {error}") from error
    return Change(*layer, up=up, down=down, factor=alpha / max(rank, 1))


def _require_fit(entry: Entry, key: str, change: Change, wanted: torch.Size) -> None:
    up, down = tuple(change.up.shape), tuple(change.down.shape)
    inside = len(up) >= 2 and len(down) >= 2 and change.up[0].numel() == down[0] > 0
    if not inside or up[0] != wanted[0] or change.down[0].numel() != wanted[1:].numel():
        raise ModelUnusable(
            entry.name, f"its key {key!r} gives {up} times {down}, the checkpoint's layer is {tuple(wanted)}"
        )


class _Alphas:
    """What peft has written into the file beside the tensors; without it alpha is the rank."""

    def __init__(self, entry: Entry, words: Mapping[str, str]) -> None:
        try:
            self._settings: dict[str, Any] = {**json.loads(words.get(_PEFT_WORDS, "{}"))}
        except (ValueError, TypeError) as error:
            raise ModelUnusable(entry.name, f"its {_PEFT_WORDS} cannot be read: {error}") from error

    def of(self, network: str, path: str, rank: int) -> float:
        own: Mapping[str, float] = self._settings.get(f"{network}.alpha_pattern") or {}
        pattern = next((each for each in own if path == each or path.endswith("." + each)), None)
        alpha = own[pattern] if pattern else self._settings.get(f"{network}.lora_alpha", rank)
        by_root = bool(self._settings.get(f"{network}.use_rslora"))
        return float(alpha) * rank**0.5 if by_root else float(alpha)
