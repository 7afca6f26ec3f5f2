"""What checkpoints will take of the device's memory, before anything of them is loaded."""

from __future__ import annotations

import torch

from engine.models.entry import Entry, sha256_of
from engine.models.weights import parameters

__all__ = ["Sizes"]


class Sizes:
    """Bytes in one precision, from the headers of files; those of the same files are read once."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._known: dict[str, int] = {}

    def of(self, entry: Entry) -> int:
        """Return what the weights take. Raises ``ModelUnusable``."""
        sha256 = sha256_of(entry.files)
        if sha256 not in self._known:
            files = [entry.path / name for name in entry.files if name.endswith(".safetensors")]
            self._known[sha256] = sum(parameters(entry.name, path) for path in files) * self._dtype.itemsize
        return self._known[sha256]
