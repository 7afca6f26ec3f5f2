"""Weights from disk, checked. Only safetensors are opened: a pickle runs whatever its author has put into it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from engine.errors import ModelUnusable
from engine.models.unreadable import unreadable

__all__ = ["described", "is_network", "parameters", "read", "weight_files"]

_PLAIN = re.compile(r"(model|diffusion_pytorch_model)(-\d+-of-\d+)?\.safetensors")
_VARIANT = re.compile(r"(model|diffusion_pytorch_model)\.(fp16|bf16)(-\d+-of-\d+)?\.safetensors")
_PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
_OTHERS = {b"PK": "a PyTorch pickle", b"\x80": "a pickle", b"GGUF": "a GGUF file", b"version h": "a Git LFS pointer"}
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000


def weight_files(name: str, folder: Path) -> list[Path]:
    """Return the files that hold a network's weights, shards in order; full precision before half."""
    found = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    for pattern in (_PLAIN, _VARIANT):
        if matching := [path for path in found if pattern.fullmatch(path.name)]:
            return matching
    pickles = [path.name for path in folder.glob("*") if path.suffix in _PICKLES] if folder.is_dir() else []
    if pickles:
        raise ModelUnusable(name, f"{folder.name}/{pickles[0]} is a pickle, which can run code; give safetensors")
    other = f"; give one file of {', '.join(path.name for path in found)}" if found else ""
    raise ModelUnusable(name, f"it has no weights in {folder.name}{other}")


def is_network(path: Path) -> bool:
    """Tell whether a file is called as diffusers calls a network's weights."""
    return any(pattern.fullmatch(path.name) for pattern in (_PLAIN, _VARIANT))


def read(name: str, paths: Iterable[Path]) -> dict[str, torch.Tensor]:
    """Return tensors by key from all files, on the CPU, in the type that they were stored in."""
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        if path.suffix != ".safetensors":
            raise ModelUnusable(name, f"{path.name} is not a safetensors file; pickles can run code and are not read")
        try:
            tensors.update(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(name, path, error) from error
    return tensors


def described(name: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a file without reading the tensors; ``name`` is what errors call the model.

    Raises ``ModelUnusable``.
    """
    if path.suffix != ".safetensors":
        raise ModelUnusable(name, f"{path.name} is not a safetensors file; pickles can run code and are not read")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(name, path, error) from error


def parameters(name: str, path: Path) -> int:
    """Return how many numbers a file holds, from its header alone; ``name`` is what errors call the model.

    Raises ``ModelUnusable``.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header: Mapping[str, Any] = json.loads(file.read(min(length, _LONGEST_HEADER)) or b"{}")
        return sum(prod(tensor["shape"]) for key, tensor in header.items() if key != "__metadata__")
    except OSError as error:
        raise unreadable(name, _place(name, path), error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(name, path, error) from error


def _unreadable(name: str, path: Path, error: Exception) -> ModelUnusable:
    """Say of a file that does not even begin as safetensors do that it is none: it was renamed, not damaged."""
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES + 1)
    except OSError as unread:
        return unreadable(name, _place(name, path), unread)
    if start[_LENGTH_BYTES:] == b"{":
        return ModelUnusable(name, f"{_place(name, path)} is damaged: {error}")
    what = next((what for mark, what in _OTHERS.items() if start.startswith(mark)), "")
    said = f"it begins as {what} does" if what else "it does not begin as one"
    return ModelUnusable(name, f"{_place(name, path)} is damaged or no safetensors file at all: {said}")


def _place(name: str, path: Path) -> str:
    """Where a file lies in the model's folder."""
    return path.name if path.parent.name == name else f"{path.parent.name}/{path.name}"
