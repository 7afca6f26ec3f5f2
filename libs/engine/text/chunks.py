"""Tokens in chunks of 75, each between its begin and its end, as many as a prompt needs.

Where a chunk is full, the words after the last comma among its last 20 tokens go to the next one, so that no phrase is
torn (as AUTOMATIC1111's web UI does it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["CHUNK_TOKENS", "Chunk", "Layout", "Markers", "Piece"]

CHUNK_TOKENS = 75
COMMA_REACH = 20
"""A comma this many tokens before the end of a full chunk, or nearer, is where the chunk ends."""


@dataclass(frozen=True)
class Chunk:
    """What one pass of a text encoder takes: 77 ids and the weight of each; begin, end and padding weigh 1."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Markers:
    """The ids of a tokenizer's special tokens, and that of a comma with which a word ends."""

    begin: int
    end: int
    padding: int
    comma: int


@dataclass(frozen=True)
class Piece:
    """Ids of one weight that stay together in one chunk."""

    ids: tuple[int, ...]
    weight: float


@dataclass
class Layout:
    """Fills chunks with pieces, one after the other."""

    markers: Markers
    chunks: list[Chunk] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Tokens of the prompt in each chunk, without begin, end and padding."""
    _ids: list[int] = field(default_factory=list)
    _weights: list[float] = field(default_factory=list)
    _after_comma: int = 0

    def add(self, pieces: Sequence[Piece]) -> None:
        """Append pieces of at most ``CHUNK_TOKENS`` ids each."""
        for piece in pieces:
            is_comma = piece.ids == (self.markers.comma,)
            while len(self._ids) + len(piece.ids) > CHUNK_TOKENS:
                self._turn(self._phrase_start() if not is_comma else len(self._ids))
            self._ids.extend(piece.ids)
            self._weights.extend([piece.weight] * len(piece.ids))
            if is_comma:
                self._after_comma = len(self._ids)

    def close(self) -> None:
        """End the present chunk, however full it is."""
        size = len(self._ids)
        padding = CHUNK_TOKENS - size
        ids = (self.markers.begin, *self._ids, self.markers.end, *[self.markers.padding] * padding)
        self.chunks.append(Chunk(ids, (1.0, *self._weights, 1.0, *[1.0] * padding)))
        self.sizes.append(size)
        self._ids, self._weights, self._after_comma = [], [], 0

    def finished(self) -> tuple[Chunk, ...]:
        """Return all chunks, one at least."""
        if self._ids or not self.chunks:
            self.close()
        return tuple(self.chunks)

    def _phrase_start(self) -> int:
        """Return where the words after the last comma begin, if the chunk is full and the comma near; else the end."""
        full = len(self._ids) == CHUNK_TOKENS
        near = self._after_comma and CHUNK_TOKENS - self._after_comma < COMMA_REACH
        return self._after_comma if full and near else len(self._ids)

    def _turn(self, at: int) -> None:
        """Go on in a new chunk, with what stands from ``at`` on in this one."""
        moved = self._ids[at:], self._weights[at:]
        del self._ids[at:], self._weights[at:]
        self.close()
        self._ids, self._weights = moved
