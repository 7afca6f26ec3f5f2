"""Textual inversions: words of a prompt that stand for learned token embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.request import RenderRequest
from engine.variants.licence import Entries, permitted
from engine.variants.weights import weights_of

__all__ = ["embeddings_of"]

_KEYS = {"clip_l": 0, "clip_g": 1, "emb_params": 0}
"""The text encoder, counted as SDXL's base has them, by the key in published files; ``emb_params`` is SD 2's."""


def embeddings_of(
    names: Iterable[str], checkpoint: Checkpoint, catalogue: Entries, request: RenderRequest
) -> Mapping[str, Mapping[int, torch.Tensor]]:
    """Return rows (n, D) by word and by number of the text encoder, on the checkpoint's device and in its dtype.

    ``names`` are those of ``TokenisedPrompt.triggers``. Raises ``Refused`` for licences, ``ModelUnusable`` for rows
    that do not fit the checkpoint's text encoders.
    """
    return {name: _rows(permitted(catalogue, name, "embedding", request), checkpoint) for name in names}


def _rows(entry: Entry, checkpoint: Checkpoint) -> dict[int, torch.Tensor]:
    first = 1 if checkpoint.architecture == "sdxl-refiner" else 0
    encoders = dict(enumerate(checkpoint.text_encoders, first))
    found = {_encoder_of(entry, key): (key, rows) for key, rows in weights_of(entry).items()}
    if missing := encoders.keys() - found.keys():
        raise ModelUnusable(entry.name, f"it has no rows for text encoder {min(missing)}")
    return {number: _fitting(entry, *found[number], encoder, checkpoint) for number, encoder in encoders.items()}


def _encoder_of(entry: Entry, key: str) -> int:
    if key not in _KEYS:
        raise ModelUnusable(entry.name, f"its key {key!r} is none of {', '.join(_KEYS)}")
    return _KEYS[key]


def _fitting(entry: Entry, key: str, rows: torch.Tensor, encoder: object, checkpoint: Checkpoint) -> torch.Tensor:
    width = encoder.get_input_embeddings().weight.shape[1]  # type: ignore[attr-defined]
    rows = rows.unsqueeze(0) if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise ModelUnusable(entry.name, f"its {key!r} is {tuple(rows.shape)}, the text encoder has rows of {width}")
    return rows.to(checkpoint.device, checkpoint.dtype)
