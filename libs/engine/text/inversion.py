"""Textual inversions while encoding: rows put in the place of reserved ids, the model's own table left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from engine.errors import ModelUnusable
from engine.text.chunks import Chunk
from engine.text.triggers import RESERVED

__all__ = ["Rows", "replaced_rows", "token_ids"]

_PLACEHOLDER = 0
"""A token that is neither begin nor end, for an encoder pools where it finds the end."""


@dataclass(frozen=True)
class Rows:
    """The rows (D,) of one encoder, in the order of their reserved ids."""

    rows: tuple[torch.Tensor, ...] = ()

    @classmethod
    def of(
        cls,
        triggers: Sequence[tuple[str, int]],
        embeddings: Mapping[str, Mapping[int, torch.Tensor]],
        encoder: int,
    ) -> Rows:
        """Collect what a prompt's triggers stand for. Raises ``ModelUnusable`` where rows are missing or too many."""
        return cls(tuple(row for name, count in triggers for row in _rows(name, count, embeddings, encoder)))


def _rows(
    name: str, count: int, embeddings: Mapping[str, Mapping[int, torch.Tensor]], encoder: int
) -> Sequence[torch.Tensor]:
    found = embeddings.get(name, {}).get(encoder)
    if found is None:
        raise ModelUnusable(name, f"there are no embedding rows for text encoder {encoder}")
    if found.ndim != 2 or found.shape[0] != count:
        raise ModelUnusable(name, f"its rows have shape {tuple(found.shape)}, {count} rows were laid out")
    return list(found)


def token_ids(chunk: Chunk) -> torch.Tensor:
    """Return a chunk's ids, int64 (1, 77), with a placeholder where a row of an embedding comes."""
    return torch.tensor([[_PLACEHOLDER if each >= RESERVED else each for each in chunk.ids]])


@contextmanager
def replaced_rows(encoder: Any, chunk: Chunk, rows: Rows) -> Iterator[None]:
    """Let an encoder find these rows where the chunk has reserved ids, within the block only."""
    places = {at: rows.rows[each - RESERVED] for at, each in enumerate(chunk.ids) if each >= RESERVED}
    if not places:
        yield
        return
    table = encoder.get_input_embeddings()
    _check_width(places.values(), table.weight.shape[1])
    hook = table.register_forward_hook(lambda _module, _inputs, found: _with(found, places))
    try:
        yield
    finally:
        hook.remove()


def _check_width(rows: Any, width: int) -> None:
    for row in rows:
        if row.shape[0] != width:
            raise ModelUnusable("embedding", f"its rows have {row.shape[0]} values, the text encoder's {width}")


def _with(found: torch.Tensor, places: Mapping[int, torch.Tensor]) -> torch.Tensor:
    changed = found.clone()
    for at, row in places.items():
        changed[0, at] = row.to(changed)
    return changed
