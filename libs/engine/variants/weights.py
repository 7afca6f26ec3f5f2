"""The tensors of a model that is one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import safe_open

from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.verification import verified
from engine.models.weights import parameters, read

__all__ = ["stored_bytes", "weights_file", "weights_of", "words_of"]

ENDING = ".safetensors"


def weights_of(entry: Entry) -> dict[str, torch.Tensor]:
    """Return tensors by key, on the CPU, in the type that they were stored in.

    Raises ``ModelUnusable`` where there is no safetensors file, where it is damaged, is not the one that was installed,
    or holds NaN or infinity.
    """
    path = weights_file(entry)
    verified(entry)
    tensors = read(entry.name, [path])
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelUnusable(entry.name, f"{key} holds NaN or infinity")
    return tensors


def words_of(entry: Entry) -> dict[str, str]:
    """Return what the file says of itself beside its tensors."""
    with safe_open(weights_file(entry), framework="pt") as file:
        return dict(file.metadata() or {})


def stored_bytes(name: str, paths: Iterable[Path], dtype: torch.dtype) -> int:
    """Return what a model's weights in files will take of a device's memory, from the files' headers alone."""
    return sum(parameters(name, path) for path in paths) * dtype.itemsize


def weights_file(entry: Entry) -> Path:
    """Return the one file of weights that lies directly in the model's folder."""
    names = list(entry.files) or [path.name for path in entry.path.iterdir()]
    found = sorted(name for name in names if name.endswith(ENDING) and "/" not in name)
    if len(found) != 1:
        held = ", ".join(found) or "none (pickles are not opened)"
        raise ModelUnusable(entry.name, f"one safetensors file is wanted, it has {held}")
    return entry.path / found[0]
