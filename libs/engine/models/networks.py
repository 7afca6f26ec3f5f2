"""Networks from configurations and weights: nothing initialised twice, nothing missing, nothing left over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.errors import ModelUnusable
from engine.models.unreadable import unreadable

__all__ = ["COMPONENTS", "TEXT_ENCODERS", "configuration", "empty", "filled", "fitted", "require_finite"]

T = TypeVar("T", bound=Any)
"""A tensor, or what stands for one that was not read yet."""

TEXT_ENCODERS: dict[str, Any] = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
COMPONENTS: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, **TEXT_ENCODERS}

_UNUSED = ("position_ids", "logit_scale", "text_projection.weight", "text_projection")
"""What checkpoints carry along in their text encoders though not every class has a place for it."""
_OLD_VAE = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_NAMED = 3


def configuration(name: str, folder: Path, file: str = "config.json") -> dict[str, Any]:
    """Return what a component's folder says of it."""
    try:
        found = json.loads((folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(name, f"{folder.name}/{file}", error) from error
    if not isinstance(found, dict):
        raise ModelUnusable(name, f"{folder.name}/{file} holds no settings")
    return found


def require_finite(name: str, component: str, network: Any) -> None:
    """Refuse NaN and infinity in the weights; one sum for each tensor shows them."""
    sums = torch.stack([each.detach().sum(dtype=torch.float32) for each in network.parameters()])
    if not bool(torch.isfinite(sums).all()):
        keys = [key for key, _ in network.named_parameters()]
        bad = [key for key, value in zip(keys, sums.tolist(), strict=True) if value - value != 0]
        raise ModelUnusable(name, f"{component} has weights that are not finite, {bad[0]} among them")


def empty(name: str, component: str, settings: Mapping[str, Any]) -> Any:
    """Return a network without weights. ``name`` is what errors call the model."""
    kind = COMPONENTS[component]
    try:
        with torch.device("meta"):
            if component in TEXT_ENCODERS:
                return kind(CLIPTextConfig(**settings))
            return kind.from_config(dict(settings))
    except (TypeError, ValueError, KeyError) as error:
        raise ModelUnusable(name, f"{component}'s configuration is not usable: {error}") from error


def fitted(name: str, component: str, network: Any, tensors: Mapping[str, T]) -> dict[str, T]:
    """Return the weights by the network's own keys, all of them and no others, in its shapes."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = dict(_renamed(component, wanted, tensors))
    if missing := [key for key in wanted if key not in given]:
        raise ModelUnusable(name, f"{component} lacks {len(missing)} weights: {_some(missing)}")
    if surplus := [key for key in given if key not in wanted]:
        raise ModelUnusable(name, f"{component} has {len(surplus)} weights too many: {_some(surplus)}")
    for key, shape in wanted.items():
        if tuple(given[key].shape) != shape:
            found = tuple(given[key].shape)
            raise ModelUnusable(name, f"{component}'s {key} has the shape {found}, {shape} was expected")
    return given


def filled(network: Any, weights: Mapping[str, torch.Tensor], device: torch.device) -> Any:
    """Return a network in evaluation mode that computes with these weights, which lie on the device already."""
    network.load_state_dict(weights, assign=True)
    for module in network.modules():
        for key, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:  # the one buffer that no file holds: the text encoders' count of places
                places = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
                module.register_buffer(key, places, persistent=False)
    return network.eval().requires_grad_(False)


def _renamed(component: str, wanted: Mapping[str, Any], tensors: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """Yield weights under today's keys: the wrapper that text encoders had, the names that old autoencoders have."""
    for key, tensor in tensors.items():
        if component in TEXT_ENCODERS:
            name = next(
                (each for each in (key, key.removeprefix("text_model."), f"text_model.{key}") if each in wanted), key
            )
            if name in wanted or not name.endswith(_UNUSED):
                yield name, tensor
        elif component == "vae" and ".attentions." in key:
            yield ".".join(_OLD_VAE.get(part, part) for part in key.split(".")), _flat(key, tensor)
        else:
            yield key, tensor


def _flat(key: str, tensor: Any) -> Any:
    """Turn a 1x1 convolution into the matrix that it is."""
    return tensor[..., 0, 0] if tensor.ndim == 4 and "norm" not in key else tensor


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
