"""Checkpoints in the device's memory: loaded when one is asked for, the one longest unused makes room."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import torch

from engine.checkpoint import Checkpoint
from engine.errors import EngineError, ModelUnusable, OutOfMemory, Refused
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry, sha256_of
from engine.models.loading import load
from engine.models.weights import parameters

__all__ = ["Models"]

LOADABLE = ("checkpoint", "refiner")


@dataclass
class Models:
    """At most ``budget_bytes`` of weights on one device. Belongs to the device's thread; it holds no locks."""

    catalogue: Catalogue
    device: torch.device | str
    dtype: torch.dtype
    budget_bytes: int
    _loaded: OrderedDict[str, Checkpoint] = field(default_factory=OrderedDict, init=False)
    _held: Counter[str] = field(default_factory=Counter, init=False)

    def checkpoint(self, name: str) -> Checkpoint:
        """Return a checkpoint or refiner, loaded if it is not as it is installed now. Raises ``EngineError``.

        It may be gone after the next call with another name; ``hold`` keeps it.
        """
        entry = self.catalogue.entry(name)
        if name in self._loaded and not self._is_loaded(entry):
            self._give_up(name)
        if name not in self._loaded:
            self._load(entry)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def hold(self, name: str) -> Checkpoint:
        """Return a checkpoint that stays until ``release`` was called as often as this."""
        checkpoint = self.checkpoint(name)
        self._held[name] += 1
        return checkpoint

    def release(self, name: str) -> None:
        """Take back one ``hold``."""
        self._held[name] -= 1
        if self._held[name] <= 0:
            del self._held[name]

    def drop(self, name: str) -> None:
        """Forget a checkpoint that nobody holds, so that the next call reads it from disk."""
        if name not in self._held:
            self._loaded.pop(name, None)

    @property
    def loaded(self) -> list[str]:
        """What is in memory as it is installed now, the longest unused first."""
        return [name for name in self._loaded if self._is_installed(name)]

    @property
    def used_bytes(self) -> int:
        """What the weights in memory take."""
        return sum(each.weight_bytes for each in self._loaded.values())

    def _is_installed(self, name: str) -> bool:
        try:
            return self._is_loaded(self.catalogue.entry(name))
        except EngineError:
            return False

    def _is_loaded(self, entry: Entry) -> bool:
        """Tell whether what is in memory are the files of this entry; one that states none is taken for the same."""
        return not entry.files or self._loaded[entry.name].sha256 == sha256_of(entry.files)

    def _give_up(self, name: str) -> None:
        if name in self._held:
            raise ModelUnusable(
                name, "it was replaced while in use; ask again when what draws with the old one is done"
            )
        del self._loaded[name]

    def _load(self, entry: Entry) -> None:
        if entry.kind not in LOADABLE:
            raise Refused("checkpoint", entry.name, f"it is of the kind {entry.kind}; a checkpoint is wanted")
        wanted = _bytes(entry, self.dtype)
        self._make_room(wanted)
        try:
            self._loaded[entry.name] = load(entry, self.device, self.dtype)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory("load", wanted, max(0, self.budget_bytes - self.used_bytes)) from error

    def _make_room(self, wanted: int) -> None:
        kept = sum(self._loaded[name].weight_bytes for name in self._held)
        if kept + wanted > self.budget_bytes:
            raise OutOfMemory("load", wanted, max(0, self.budget_bytes - kept))
        for name in [each for each in self._loaded if each not in self._held]:
            if self.used_bytes + wanted <= self.budget_bytes:
                return
            del self._loaded[name]


def _bytes(entry: Entry, dtype: torch.dtype) -> int:
    """Return what a checkpoint's weights will take, from the headers of its files."""
    files = [entry.path / name for name in entry.files if name.endswith(".safetensors")]
    return sum(parameters(path) for path in files) * dtype.itemsize
