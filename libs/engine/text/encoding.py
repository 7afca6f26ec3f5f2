"""What the text encoders make of tokens: one chunk at a time, so that no prompt's bytes depend on another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engine.checkpoint import Checkpoint
from engine.errors import Refused
from engine.text.chunks import Chunk
from engine.text.emphasis import emphasised
from engine.text.inversion import Rows, replaced_rows, token_ids
from engine.text.tokens import TokenisedPrompt

__all__ = ["Conditioning", "encode"]

Embeddings = Mapping[str, Mapping[int, torch.Tensor]]
"""Rows (n, D) of textual inversions, by trigger and by index of the text encoder."""


@dataclass(frozen=True)
class Conditioning:
    """What a UNet is conditioned on, in the checkpoint's dtype and on its device.

    ``prompt`` and ``negative`` have shape (1, 77 · chunks, D), D that of all encoders together; ``pooled`` and
    ``negative_pooled`` (1, P), or None where no encoder has a projection.
    """

    prompt: torch.Tensor
    negative: torch.Tensor
    pooled: torch.Tensor | None
    negative_pooled: torch.Tensor | None


def encode(
    checkpoint: Checkpoint,
    tokens: TokenisedPrompt,
    clip_skip: int = 0,
    embeddings: Embeddings | None = None,
    *,
    guided: bool = True,
) -> Conditioning:
    """Encode prompt and negative prompt as diffusers' ``encode_prompt`` does, with weights and any number of chunks.

    ``clip_skip`` leaves out that many layers more of the prompt, never of the negative prompt (as diffusers). An empty
    negative prompt is zeros for a checkpoint that was trained so; others look at the words that are not there.
    Not ``guided``: nobody looks at the negative prompt, it is zeros. Raises ``Refused``.
    """
    with torch.no_grad():
        prompt, pooled = _encoded(checkpoint, tokens.positive, tokens, clip_skip, embeddings or {})
        if not guided or (checkpoint.zeros_for_empty and tokens.negative_is_empty):
            against, pooled_against = torch.zeros_like(prompt), None if pooled is None else torch.zeros_like(pooled)
        else:
            against, pooled_against = _encoded(checkpoint, tokens.negative, tokens, 0, embeddings or {})
    return Conditioning(prompt, against, pooled, pooled_against)


def _encoded(
    checkpoint: Checkpoint,
    chunks: Sequence[Sequence[Chunk]],
    tokens: TokenisedPrompt,
    clip_skip: int,
    embeddings: Embeddings,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Encode with every encoder, side by side in the last axis; the refiner has only the last one of the base's two."""
    skipped = len(chunks) - len(checkpoint.text_encoders)
    states, pooled = [], None
    for index, encoder in enumerate(checkpoint.text_encoders, skipped):
        rows = Rows.of(tokens.triggers, embeddings, index)
        passes = [_passed(checkpoint, encoder, chunk, rows, clip_skip) for chunk in chunks[index]]
        states.append(torch.cat([state for state, _ in passes], dim=1))
        pooled = passes[0][1] if passes[0][1] is not None else pooled
    joined = torch.cat(states, dim=-1).to(checkpoint.dtype)
    return joined, None if pooled is None else pooled.to(checkpoint.dtype)


def _passed(
    checkpoint: Checkpoint, encoder: Any, chunk: Chunk, rows: Rows, clip_skip: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the state (1, 77, D) of one chunk and, of an encoder with a projection, what it pools (1, P)."""
    ids = token_ids(chunk).to(checkpoint.device)
    with replaced_rows(encoder, chunk, rows):
        output = encoder(ids, output_hidden_states=True)
    state = _state(checkpoint.architecture, encoder, output, clip_skip)
    return emphasised(state, chunk.weights), getattr(output, "text_embeds", None)


def _state(architecture: str, encoder: Any, output: Any, clip_skip: int) -> torch.Tensor:
    """SDXL looks at the last but one layer as it is, SD 2 at the last one through the final norm."""
    last = 1 if architecture == "sd2" else 2
    deepest = len(output.hidden_states) - last
    if clip_skip > deepest:
        raise Refused("clip_skip", clip_skip, f"at most {deepest} with this checkpoint")
    if last == 2:
        return output.hidden_states[-(clip_skip + 2)]
    if clip_skip == 0:
        return output.last_hidden_state
    return getattr(encoder, "text_model", encoder).final_layer_norm(output.hidden_states[-(clip_skip + 1)])
