"""What stays on the device for the next request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
from math import inf
from typing import Generic, TypeVar

import torch

__all__ = ["Kept", "bytes_of"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Things by key within ``budget_bytes``, the least recently used leave first; one alone may take more than that.

    At most ``most`` of them, however small they are.

    ``size`` says what things take together, for they may share weights. What ``is_needed`` stays, for letting go of it
    would free nothing; ``left`` is told of everything that leaves.
    """

    def __init__(
        self,
        budget_bytes: int,
        size: Callable[[Collection[T]], int],
        is_needed: Callable[[T], bool] = lambda _: False,
        left: Callable[[T], None] = lambda _: None,
        *,
        most: float = inf,
    ) -> None:
        self._budget, self._size, self._most = budget_bytes, size, most
        self._is_needed, self._left = is_needed, left
        self._held: OrderedDict[Hashable, T] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        """Whether it is at hand."""
        return key in self._held

    @property
    def used_bytes(self) -> int:
        """What all of them take."""
        return self._size(self._held.values())

    def of(self, key: Hashable, make: Callable[[], T], wanted: Callable[[], int]) -> T:
        """Return what is held for a key; made where it is not, after room for ``wanted`` bytes was."""
        if key not in self._held:
            self._make_room(wanted())
            self._held[key] = make()
        self._held.move_to_end(key)
        return self._held[key]

    def give_up(self) -> None:
        """Let go of everything that is not needed."""
        for key in self._idle():
            self._left(self._held.pop(key))

    def _make_room(self, wanted: int) -> None:
        for key in self._idle():
            if len(self._held) < self._most and self.used_bytes + wanted <= self._budget:
                return
            self._left(self._held.pop(key))

    def _idle(self) -> list[Hashable]:
        """The longest unused first."""
        return [key for key, each in self._held.items() if not self._is_needed(each)]


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """What tensors take."""
    return sum(each.numel() * each.element_size() for each in tensors)
