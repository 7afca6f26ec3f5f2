"""A large plane in tiles of one fixed shape that overlap and fade into each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Canvas", "Tile", "tiles"]


@dataclass(frozen=True)
class Tile:
    """Top, left, height and width, in latent pixels."""

    top: int
    left: int
    height: int
    width: int


def tiles(height: int, width: int, side: int, overlap: int) -> tuple[Tile, ...]:
    """Cover a plane with as few tiles of at most ``side`` as overlap by ``overlap`` at least, spread evenly.

    All have one shape; a plane that one tile covers has one.
    """
    tops, leftmost = _starts(height, side, overlap), _starts(width, side, overlap)
    return tuple(Tile(top, left, min(side, height), min(side, width)) for top in tops for left in leftmost)


class Canvas:
    """Adds up tiles, each fading out linearly where it overlaps another. ``scale``: its pixels to one of a tile's."""

    def __init__(self, height: int, width: int, overlap: int, scale: float) -> None:
        self._height, self._width = _scaled(height, scale), _scaled(width, scale)
        self._overlap, self._scale = _scaled(overlap, scale), scale
        self._sum: torch.Tensor | None = None
        self._weights: torch.Tensor | None = None

    def add(self, tile: Tile, values: torch.Tensor) -> None:
        """Add what a tile gave: (1, C, tile.height * scale, tile.width * scale)."""
        if self._sum is None or self._weights is None:
            self._sum = values.new_zeros(1, values.shape[1], self._height, self._width)
            self._weights = values.new_zeros(1, 1, self._height, self._width)
        top, left = _scaled(tile.top, self._scale), _scaled(tile.left, self._scale)
        rows, columns = slice(top, top + values.shape[2]), slice(left, left + values.shape[3])
        weights = _ramp(values.shape[2], self._overlap)[:, None] * _ramp(values.shape[3], self._overlap)[None, :]
        weights = weights.to(values.device)
        self._sum[:, :, rows, columns] += values * weights
        self._weights[:, :, rows, columns] += weights

    def whole(self) -> torch.Tensor:
        """Return the plane once every tile was added."""
        if self._sum is None or self._weights is None:
            raise ValueError("no tile was added")
        return self._sum / self._weights


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _scaled(length: int, scale: float) -> int:
    return round(length * scale)


def _ramp(length: int, overlap: int) -> torch.Tensor:
    """1 in the middle, falling towards both ends; never 0, so that the frame's border keeps its only tile."""
    inwards = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1))
    return (inwards / (overlap + 1)).clamp(max=1.0).float()
