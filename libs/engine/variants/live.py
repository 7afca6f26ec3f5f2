"""The parameters that networks compute with: replaced in place, and never lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch

__all__ = ["Layer", "LiveWeights"]

Layer = tuple[str, str]
"""Name of a network, and the path in it of the module whose weight is meant."""


class LiveWeights:
    """Weights of layers by (network, path). Storages stay the same, so captured graphs stay good.

    The untouched weight of a layer is copied to main memory before it is first replaced, page-locked beside a GPU.
    """

    def __init__(self, networks: Mapping[str, Any]) -> None:
        self._networks = networks
        self._untouched: dict[Layer, torch.Tensor] = {}
        self._changed: set[Layer] = set()

    def size_bytes(self, layers: Collection[Layer]) -> int:
        """What the weights of these layers take."""
        weights = [self._weight(layer) for layer in layers]
        return sum(each.numel() * each.element_size() for each in weights)

    def uncopied(self, layers: Collection[Layer]) -> set[Layer]:
        """Return those whose untouched weights would be copied first."""
        return set(layers).difference(self._untouched)

    def give_up(self) -> None:
        """Forget the copies of weights that are live as the checkpoint has them."""
        self._untouched = {layer: each for layer, each in self._untouched.items() if layer in self._changed}

    def untouched(self, layer: Layer) -> torch.Tensor:
        """Return the weight as the checkpoint has it, in main memory. Not to be written to."""
        if layer not in self._untouched:
            weight = self._weight(layer)
            copy = weight.detach().to("cpu", copy=True)
            self._untouched[layer] = copy.pin_memory() if weight.is_cuda else copy
        return self._untouched[layer]

    def replace(self, layers: Collection[Layer], weight_of: Callable[[Layer], torch.Tensor]) -> None:
        """Give these layers other weights and all others their untouched ones.

        Where ``weight_of`` raises, weights are a mixture; the next call puts all of them right.
        """
        left = self._changed.difference(layers)
        for layer in layers:
            self.untouched(layer)
        self._changed.update(layers)
        for layer in left:
            self._write(layer, self._untouched[layer])
        for layer in layers:
            self._write(layer, weight_of(layer))
        self._changed = set(layers)

    def _weight(self, layer: Layer) -> torch.Tensor:
        network, path = layer
        weight: torch.Tensor = self._networks[network].get_submodule(path).weight
        return weight

    def _write(self, layer: Layer, values: torch.Tensor) -> None:
        with torch.no_grad():
            self._weight(layer).copy_(values)
