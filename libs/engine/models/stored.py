"""Tensors that lie in files and were not read yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from engine.errors import ModelUnusable

__all__ = ["LENGTH_BYTES", "LONGEST_HEADER", "Stored", "listed"]

LENGTH_BYTES = 8
LONGEST_HEADER = 100_000_000
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
"""Source: the format's own names, README of safetensors."""


@dataclass(frozen=True)
class Stored:
    """A tensor in bytes ``start`` to ``stop`` of a file of the model.

    Where a layout is converted into another it stands for the tensor: what is done to it is noted, and done to the
    bytes once they are there. Only what converters do is known to it.
    """

    file: str
    key: str
    start: int
    stop: int
    dtype: torch.dtype
    stored: tuple[int, ...]
    like: torch.Tensor
    """Without data; has the shape that it has by now."""
    done: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = ()

    @property
    def shape(self) -> torch.Size:
        """As of a tensor."""
        return self.like.shape

    @property
    def ndim(self) -> int:
        """As of a tensor."""
        return self.like.ndim

    @property
    def T(self) -> Stored:  # noqa: N802 - the tensor's own name
        """As of a tensor."""
        return self._then(lambda tensor: tensor.T)

    def __getitem__(self, at: Any) -> Stored:
        """As of a tensor."""
        return self._then(lambda tensor: tensor[at])

    def clone(self) -> Stored:
        """Nothing shares memory with it."""
        return self

    detach = contiguous = clone

    def of(self, data: torch.Tensor) -> torch.Tensor:
        """Return the tensor from its bytes (uint8), as a view of them where they are aligned."""
        if data.storage_offset() % self.dtype.itemsize:
            data = data.clone()
        tensor = data.view(self.dtype).view(self.stored)
        for each in self.done:
            tensor = each(tensor)
        return tensor

    def _then(self, do: Callable[[torch.Tensor], torch.Tensor]) -> Stored:
        return replace(self, like=do(self.like), done=(*self.done, do))


def listed(name: str, file: str, header: bytes, size: int) -> list[Stored]:
    """Return a safetensors file's tensors in the order of their bytes.

    ``header`` is the JSON behind the first eight bytes, ``size`` that of the whole file. Raises ``ModelUnusable``.
    """
    try:
        said: Mapping[str, Any] = json.loads(header)
        base = LENGTH_BYTES + len(header)
        found = [_stored(file, key, each, base) for key, each in said.items() if key != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelUnusable(name, f"{file} is damaged: {error!r}") from error
    found.sort(key=lambda each: (each.start, each.stop))
    for each, following in pairwise(found):
        if following.start < each.stop:
            raise ModelUnusable(name, f"{file} is damaged: {each.key} and {following.key} overlap")
    if found and found[-1].stop > size:
        raise ModelUnusable(name, f"{file} is damaged: {found[-1].key} ends at {found[-1].stop}, the file at {size}")
    return found


def _stored(file: str, key: str, said: Mapping[str, Any], base: int) -> Stored:
    dtype, shape = _DTYPES[said["dtype"]], tuple(map(int, said["shape"]))
    start, stop = map(int, said["data_offsets"])
    like = torch.empty(shape, dtype=dtype, device="meta")
    if start < 0 or stop - start != like.numel() * dtype.itemsize:
        raise ValueError(f"{key} has {stop - start} bytes for the shape {shape}")
    return Stored(file, key, base + start, base + stop, dtype, shape, like)
