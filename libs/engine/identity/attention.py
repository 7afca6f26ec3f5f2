"""Attention that also looks at the people who are to be recognised, each inside a mask of their own."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["Attention", "install", "places"]

_CROSS = "attn2.processor"


class Attention(AttnProcessor2_0):
    """Stock attention as long as there are no references; it holds no weights and nothing of any request.

    ``place`` says which columns of the references' keys and values are this layer's, ``level`` how often the latent was
    halved before it. Without a place it is self-attention, which takes no notice of references.
    """

    def __init__(self, place: slice | None, level: int) -> None:
        super().__init__()
        self._place, self._level = place, level

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
    ) -> torch.Tensor:
        """Take the arguments of diffusers' processors and what ``Identity.batch`` gives."""
        if self._place is None or reference_keys is None or reference_values is None or reference_shares is None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        key, value = (_heads(layer(encoder_hidden_states), attn.heads) for layer in (attn.to_k, attn.to_v))
        told = _joined(scaled_dot_product_attention(query, key, value))
        keys, values = (each[..., self._place] for each in (reference_keys, reference_values))
        share = reference_shares[:, self._level, :, : query.shape[2]]
        return attn.to_out[0](told + _shown(query, keys, values, share))


def _shown(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return what references add, (B, Q, width): for each slot a softmax of its own, times its share (B, slots, Q).

    Shares are float32: in bfloat16 a scale of 0.7 would be 0.699 everywhere.
    """
    slots, heads = share.shape[1], query.shape[1]
    key, value = (_heads(each.flatten(0, 1), heads) for each in (keys, values))
    shown = _joined(scaled_dot_product_attention(query.repeat_interleave(slots, dim=0), key, value))
    return (shown.unflatten(0, (-1, slots)) * share.unsqueeze(-1)).sum(dim=1).to(query.dtype)


def install(unet: Any) -> None:
    """Give a denoiser our attention, once after loading; without references its bytes are what they were before."""
    place_of = places(unet)
    levels = len(unet.config.block_out_channels)
    unet.set_attn_processor(
        {name: Attention(place_of.get(name), _level(name, levels)) for name in unet.attn_processors}
    )


def places(unet: Any) -> dict[str, slice]:
    """Return each cross-attention's columns by its name, in the order in which adapter files number the layers."""
    found, start = {}, 0
    for name in unet.attn_processors:
        if name.endswith(_CROSS):
            width = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            found[name] = slice(start, start + width)
            start += width
    return found


def _level(name: str, levels: int) -> int:
    kind, number = name.split(".")[:2]
    if kind == "mid_block":
        return levels - 1
    return int(number) if kind == "down_blocks" else levels - 1 - int(number)


def _heads(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, L, heads * d) to (B, heads, L, d)."""
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def _joined(tensor: torch.Tensor) -> torch.Tensor:
    """(B, heads, L, d) to (B, L, heads * d)."""
    return tensor.transpose(1, 2).flatten(2)
