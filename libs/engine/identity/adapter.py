"""An IP-Adapter of the plus kind: a picture of a person becomes 16 tokens, and those keys and values in each layer.

Source: Ye et al., IP-Adapter (2023). Published files hold ``image_proj.*``, the resampler that makes the tokens, and
``ip_adapter.N.to_k_ip`` and ``to_v_ip`` for the odd N, one pair for each cross-attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.identity.attention import places
from engine.identity.pictures import clip_input
from engine.models.entry import Entry
from engine.models.weights import described
from engine.variants.weights import weights_file, weights_of

__all__ = ["TOKENS", "Adapter", "load_adapter", "resampler_width"]

TOKENS = 16
_IMAGE, _LAYERS = "image_proj.", "ip_adapter."
_ENTRANCE = "image_proj.proj_in.weight"
_NOT_PLUS = f"it is no IP-Adapter of the plus kind with {TOKENS} tokens"


@dataclass(eq=False)
class Adapter:
    """``keys`` and ``values`` are the weights (width, D) of each cross-attention, in the denoiser's order."""

    encoder: Any
    resampler: Any
    keys: Sequence[torch.Tensor]
    values: Sequence[torch.Tensor]

    @property
    def weights(self) -> list[torch.Tensor]:
        """All weights but the encoder's, which adapters may share."""
        return [*self.resampler.parameters(), *self.keys, *self.values]

    @torch.no_grad()
    def seen(self, picture: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values, both (2, 1, TOKENS, width of all layers): of an empty picture, then of this one.

        The empty one, zeros after normalisation, is what the unconditional half sees.
        """
        shown = clip_input(picture, self.encoder.config.image_size)
        tokens = self._tokens(torch.cat([torch.zeros_like(shown), shown])).unsqueeze(1)
        keys, values = (torch.cat([tokens @ each.T for each in weights], -1) for weights in (self.keys, self.values))
        return keys, values

    def _tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.encoder.device, self.encoder.dtype)
        return self.resampler(self.encoder(pixels, output_hidden_states=True).hidden_states[-2])


def load_adapter(entry: Entry, encoder: Any, checkpoint: Checkpoint) -> Adapter:
    """Read an adapter for a checkpoint, onto its device and in its dtype.

    Raises ``ModelUnusable`` that names the first key which is missing or of another shape than the checkpoint needs.
    """
    tensors = weights_of(entry)
    unet, place_of = checkpoint.unet, places(checkpoint.unet)
    pairs: list[list[torch.Tensor]] = [[], []]
    for number, place in enumerate(place_of.values()):
        for found, part in zip(pairs, ("to_k_ip", "to_v_ip"), strict=True):
            key = f"{_LAYERS}{2 * number + 1}.{part}.weight"
            wanted = (place.stop - place.start, unet.config.cross_attention_dim)
            found.append(_weight(entry, tensors, key, wanted).to(checkpoint.device, checkpoint.dtype))
    _require_no_more(entry, tensors, len(place_of))
    resampler = _resampler(entry, tensors, checkpoint, encoder.config.hidden_size)
    keys, values = pairs
    return Adapter(encoder, resampler, keys, values)


def resampler_width(entry: Entry) -> int:
    """Return the width of the image encoder that an adapter was trained with, from its file's header."""
    shape = described(entry.name, weights_file(entry)).get(_ENTRANCE)
    if shape is None:
        raise ModelUnusable(entry.name, _NOT_PLUS)
    return shape[1]


def _weight(entry: Entry, tensors: Mapping[str, torch.Tensor], key: str, wanted: tuple[int, int]) -> torch.Tensor:
    if key not in tensors:
        raise ModelUnusable(entry.name, f"it has no {key!r}")
    if tuple(tensors[key].shape) != wanted:
        raise ModelUnusable(entry.name, f"its {key!r} is {tuple(tensors[key].shape)}, the checkpoint needs {wanted}")
    return tensors[key]


def _require_no_more(entry: Entry, tensors: Mapping[str, torch.Tensor], layers: int) -> None:
    known = {f"{_LAYERS}{2 * number + 1}.to_{part}_ip.weight" for number in range(layers) for part in "kv"}
    for key in tensors:
        if key not in known and not key.startswith(_IMAGE):
            raise ModelUnusable(entry.name, f"the checkpoint has no layer for its key {key!r}")


def _resampler(entry: Entry, tensors: Mapping[str, torch.Tensor], checkpoint: Checkpoint, seen: int) -> Any:
    projection = {key.removeprefix(_IMAGE): each for key, each in tensors.items() if key.startswith(_IMAGE)}
    latents, entrance = projection.get("latents"), tensors.get(_ENTRANCE)
    if latents is None or entrance is None or latents.shape[1] != TOKENS:
        raise ModelUnusable(entry.name, _NOT_PLUS)
    if entrance.shape[1] != seen:
        raise ModelUnusable(entry.name, f"it wants an image encoder of width {entrance.shape[1]}, not {seen}")
    try:
        made = checkpoint.unet._convert_ip_adapter_image_proj_to_diffusers(projection, low_cpu_mem_usage=False)
    except (RuntimeError, KeyError) as error:
        raise ModelUnusable(entry.name, f"its resampler cannot be read: {error}") from error
    return made.to(checkpoint.device, checkpoint.dtype).eval().requires_grad_(False)
