"""Products that read the same tensor, as one: a layer's queries, keys and values; what all layers make of the words.

A product of 2048 rows by 1280 columns leaves two fifths of a large GPU idle in its last wave; 3840 columns leave a
tenth. SDXL's 140 products with the words are too small to fill it at all; as one they do. Nothing is approximated: the
sums are the same, though a GPU may add them up in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from engine.identity.attention import Attention, places

__all__ = ["Joined", "join"]

_SELF, _CROSS = "attn1.processor", "attn2.processor"
_OWN, _KEYS, _VALUES = "joined_weights", "joined_keys", "joined_values"


class Joined(Attention):
    """Attention whose products were made by ``join``, or are made as one; with references as it is without."""

    def __call__(  # noqa: PLR0917 - the order is that of diffusers' processors
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        reference_keys: torch.Tensor | None = None,
        reference_values: torch.Tensor | None = None,
        reference_shares: torch.Tensor | None = None,
        word_keys: torch.Tensor | None = None,
        word_values: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Take what ``Attention`` takes, and keys and values (B, L, width of all layers) of the words."""
        if self._place is not None and word_keys is not None and word_values is not None:
            query = attn.to_q(hidden_states)
            return _attended(attn, query, word_keys[..., self._place], word_values[..., self._place])
        if self._place is None and encoder_hidden_states is None:
            return _attended(attn, *linear(hidden_states, getattr(attn, _OWN)).chunk(3, dim=-1))
        references = reference_keys, reference_values, reference_shares
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb, *references)


def join(unet: Any) -> None:
    """Let a denoiser that has our attention work so; again where it was given our attention again.

    Weights are moved into common storages of which each layer's own are a part, so that replacing those in place
    still replaces what is computed with. They count once among the parameters.
    """
    place_of = places(unet)
    if not hasattr(unet, _KEYS):
        _move(unet)
        unet.register_forward_pre_hook(_with_words, with_kwargs=True)
    joined = {name: Joined(place_of.get(name), each._level) for name, each in unet.attn_processors.items()}
    unet.set_attn_processor(joined)


def _move(unet: Any) -> None:
    layers = {name: unet.get_submodule(name.removesuffix(".processor")) for name in unet.attn_processors}
    for attn in (each for name, each in layers.items() if name.endswith(_SELF)):
        attn.register_buffer(_OWN, _common([attn.to_q, attn.to_k, attn.to_v]), persistent=False)
    crossing = [each for name, each in layers.items() if name.endswith(_CROSS)]
    unet.register_buffer(_KEYS, _common([each.to_k for each in crossing]), persistent=False)
    unet.register_buffer(_VALUES, _common([each.to_v for each in crossing]), persistent=False)


def _common(layers: Sequence[Any]) -> torch.Tensor:
    """Put the weights of layers without bias below each other; each keeps a view of its rows."""
    if any(each.bias is not None for each in layers):
        raise ValueError("only products without a bias are joined")
    rows = [each.out_features for each in layers]
    whole = torch.cat([each.weight.detach() for each in layers])
    for layer, part in zip(layers, whole.split(rows), strict=True):
        layer.weight = torch.nn.Parameter(part, requires_grad=False)
    return whole


def _with_words(unet: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Add what all layers make of the words; references keep their own way."""
    asked = given.get("cross_attention_kwargs") or {}
    if "reference_keys" in asked:
        return args, given
    words = given["encoder_hidden_states"]
    told = {"word_keys": linear(words, getattr(unet, _KEYS)), "word_values": linear(words, getattr(unet, _VALUES))}
    return args, given | {"cross_attention_kwargs": {**asked, **told}}


def _attended(attn: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Queries, keys and values (B, L, heads * d) as diffusers' processor goes on with them."""
    heads = (each.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for each in (query, key, value))
    seen = scaled_dot_product_attention(*heads)
    return attn.to_out[0](seen.transpose(1, 2).flatten(2))
