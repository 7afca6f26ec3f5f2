"""Networks that get their weights piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from engine.errors import ModelUnusable
from engine.models.networks import empty, filled, fitted
from engine.models.reader import Chunk
from engine.models.single_file import as_components
from engine.models.slices import pause
from engine.models.stored import Stored
from engine.models.survey import Settings

__all__ = ["Assembly", "Target", "assembly"]


@dataclass(frozen=True)
class Target:
    """Where a tensor of a file goes: a network, the key in it, and what is done to the tensor on the way."""

    component: str
    key: str
    weight: Stored


@dataclass
class Assembly:
    """``networks`` without weights, and ``targets`` of the tensors by file and key. Belongs to the device's thread.

    ``dtypes`` are those that each network computes in.
    """

    name: str
    networks: Mapping[str, Any]
    targets: Mapping[tuple[str, str], Sequence[Target]]
    device: torch.device
    dtypes: Mapping[str, torch.dtype]
    _weights: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict, init=False)
    _sums: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict, init=False)

    def take(self, chunk: Chunk) -> None:
        """Put the tensors of a chunk into their places on the device. Doing it again changes nothing."""
        data = chunk.data.to(self.device, non_blocking=True)
        for stored in chunk.tensors:
            for target in self.targets.get((stored.file, stored.key), ()):
                self._place(target, data[stored.start - chunk.start : stored.stop - chunk.start])

    def require_finite(self) -> None:
        """Refuse NaN and infinity in the weights: one sum for each tensor shows them."""
        sums = torch.stack(list(self._sums.values()))
        if not bool(torch.isfinite(sums).all()):
            bad = next(at for at, value in zip(self._sums, sums.tolist(), strict=True) if value - value != 0)
            raise ModelUnusable(self.name, f"{bad[0]} has weights that are not finite, {bad[1]} among them")

    def filled(self, component: str) -> Any:
        """Return a network with its weights."""
        return filled(self.networks[component], self._weights[component], self.device)

    def _place(self, target: Target, data: torch.Tensor) -> None:
        tensor = target.weight.of(data)
        weight = torch.empty(tensor.shape, dtype=self.dtypes[target.component], device=self.device).copy_(tensor)
        self._weights.setdefault(target.component, {})[target.key] = weight
        self._sums[target.component, target.key] = weight.sum(dtype=torch.float32)


def assembly(
    name: str,
    settings: Settings,
    tensors: Mapping[str, Sequence[Stored]],
    device: torch.device,
    dtypes: Mapping[str, torch.dtype],
) -> Assembly:
    """Return the networks of a checkpoint before they have their weights; pure Python, to be run in ``Slices``.

    ``tensors`` are those of each network, or under "" all of them in the layout of training. Raises ``ModelUnusable``
    where weights are missing, left over or of another shape.
    """
    found: Mapping[str, Mapping[str, Stored]] = {
        component: {each.key: each for each in stored} for component, stored in tensors.items()
    }
    if "" in found:
        found = as_components(name, found[""], settings)
    networks: dict[str, Any] = {}
    targets: dict[tuple[str, str], list[Target]] = {}
    for component, weights in found.items():
        networks[component] = empty(name, component, settings[component])
        for key, weight in fitted(name, component, networks[component], weights).items():
            pause()
            targets.setdefault((weight.file, weight.key), []).append(Target(component, key, weight))
    return Assembly(name, networks, targets, device, dtypes)
