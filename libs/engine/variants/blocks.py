"""Where a layer of diffusers' denoiser stands in the network that SDXL was published with.

Source: its module tree; ``input_blocks`` and ``output_blocks`` count residual blocks and samplers through.
"""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["original_name"]

_OUTER = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESIDUAL = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_KINDS = {"resnets": 0, "attentions": 1}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def original_name(path: str, layers_per_block: int, attending: Collection[int]) -> str | None:
    """Return the layer's path in the original network, None where it has none.

    ``attending`` are the numbers of the upward blocks with attention: their sampler stands behind that.
    """
    if path in _OUTER:
        return _OUTER[path]
    if found := _MIDDLE.fullmatch(path):
        kind, index, rest = found.groups()
        return f"middle_block.{2 * int(index) + _KINDS[kind]}.{_inner(kind, rest)}"
    if found := _BLOCK.fullmatch(path):
        way, block, kind, index, rest = found.groups()
        sampler = "0.op" if way == "down" else f"{2 if int(block) in attending else 1}.conv"
        first = int(block) * (layers_per_block + 1) + (1 if way == "down" else 0)
        side = "input_blocks" if way == "down" else "output_blocks"
        if kind not in _KINDS:
            return f"{side}.{first + layers_per_block}.{sampler}"
        return f"{side}.{first + int(index)}.{_KINDS[kind]}.{_inner(kind, rest)}"
    return None


def _inner(kind: str, rest: str) -> str:
    return _RESIDUAL.get(rest, rest) if kind == "resnets" else rest
