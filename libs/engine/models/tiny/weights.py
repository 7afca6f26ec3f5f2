"""Seeded weights that keep activations at a variance of about one, so that nothing dies or blows up on its way."""

from __future__ import annotations

import hashlib
from math import prod, sqrt
from typing import Any

import numpy as np
import torch

__all__ = ["fill", "uniform"]

_BIAS = 0.05
_EMBEDDING_NAMES = ("token_embedding", "position_embedding", "class_embedding")


def uniform(name: str, shape: tuple[int, ...], deviation: float, seed: int) -> torch.Tensor:
    """Return float32 values of a standard deviation, evenly spread around zero.

    They follow from name and seed alone. Evenly spread ones come from integers by exact arithmetic, so their bytes are
    those of every machine; a normal distribution goes through logarithms that differ in the last bit.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    values = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big"))).random(shape, dtype=np.float32)
    return torch.from_numpy((values - np.float32(0.5)) * np.float32(sqrt(12) * deviation))


def fill(network: Any, seed: int, gains: dict[str, float] | None = None) -> Any:
    """Give every parameter of a module its weights and return it in evaluation mode.

    ``gains`` multiplies those whose name begins with one of its keys.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            gain = next((each for start, each in (gains or {}).items() if name.startswith(start)), 1.0)
            parameter.copy_(_values(name, tuple(parameter.shape), seed) * gain)
    return network.eval()


def _values(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    if name.endswith("bias"):
        return uniform(name, shape, _BIAS, seed)
    if len(shape) < 2:
        return 1 + uniform(name, shape, _BIAS, seed)
    if any(part in name for part in _EMBEDDING_NAMES):
        return uniform(name, shape, 1.0, seed)
    return uniform(name, shape, 1 / sqrt(prod(shape[1:])), seed)
