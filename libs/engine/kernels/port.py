"""The port through which a network is called with tensors of a fixed shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Protocol

import torch

__all__ = ["Call", "Eager", "Group", "Inputs", "Kernels"]

Group = tuple[Hashable, ...]
Inputs = Mapping[str, torch.Tensor]
Call = Callable[..., torch.Tensor]
"""Takes the tensors of ``Inputs`` by name; depends on nothing else but weights whose storage stays."""


class Kernels(Protocol):
    """Runs calls. ``group`` names the call, the shapes of its tensors and whose weights it uses.

    Equal groups have equal shapes and the weights in the same places.
    """

    sha256: str
    """Names the kernels; pictures are equal only where it is. Empty when torch picks them by itself."""

    def ready(self, group: Group) -> bool:
        """Tell whether the group can run at once; otherwise it is to be prepared first, which takes minutes."""
        ...

    def prepare(self, group: Group, call: Call, inputs: Inputs) -> None:
        """Make the group ready; ``inputs`` are of its shapes, their values do not matter."""
        ...

    def run(self, group: Group, call: Call, inputs: Inputs) -> torch.Tensor:
        """Return what the call gives; no later run writes to it."""
        ...

    def forget(self, checkpoint: str) -> None:
        """Give back what is kept of a checkpoint that leaves the memory; groups name it by its SHA-256."""
        ...


class Eager:
    """Kernels as torch picks them for each operation: nothing is to be prepared. Each group has its own call."""

    sha256 = ""

    def ready(self, group: Group) -> bool:
        """Return True."""
        return True

    def prepare(self, group: Group, call: Call, inputs: Inputs) -> None:
        """Do nothing."""

    def run(self, group: Group, call: Call, inputs: Inputs) -> torch.Tensor:
        """Call."""
        return call(**inputs)

    def forget(self, checkpoint: str) -> None:
        """Do nothing."""
