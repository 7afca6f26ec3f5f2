"""Checkpoints in the device's memory: loaded when one is asked for, the one longest unused makes room."""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from engine.checkpoint import Checkpoint
from engine.errors import EngineError, ModelUnusable, OutOfMemory, Refused
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry, sha256_of
from engine.models.files import Read
from engine.models.line import Line, Place
from engine.models.loading import Loading
from engine.models.sizes import Sizes

__all__ = ["Models"]

LOADABLE = ("checkpoint", "refiner")
_REPLACED = "it was replaced while in use; ask again when what draws with the old one is done"


class _OnItsWay(NamedTuple):
    loading: Loading
    wanted_bytes: int


@dataclass
class Models:
    """At most ``budget_bytes`` of weights on one device. Belongs to the device's thread; it holds no locks.

    ``read`` is how bytes come from files.
    """

    catalogue: Catalogue
    device: torch.device | str
    dtype: torch.dtype
    budget_bytes: int
    read: Read = os.preadv
    _loaded: OrderedDict[str, Checkpoint] = field(default_factory=OrderedDict, init=False)
    _loading: dict[str, _OnItsWay] = field(default_factory=dict, init=False)
    _held: Counter[str] = field(default_factory=Counter, init=False)
    _sizes: Sizes = field(init=False)
    _line: Line = field(init=False)

    def __post_init__(self) -> None:
        """Know what there is room for, and who waits for it."""
        self._sizes = Sizes(self.dtype)
        self._line = Line(self._held_bytes, lambda: self.budget_bytes)

    def checkpoint(self, name: str) -> Checkpoint:
        """Return a checkpoint or refiner, waiting while it is loaded if it is not as it is installed now.

        It may be gone after the next call with another name; ``hold`` keeps it. Raises ``EngineError``.
        """
        checkpoint = self.hold(name)
        self.release(name)
        return checkpoint

    def hold(self, name: str) -> Checkpoint:
        """Return a checkpoint, waiting if need be, that stays until ``release`` was called as often as this."""
        found = self.open(name)
        try:
            while isinstance(found, Loading):
                found = self.advance(found) or found
        except Exception:
            self.release(name)
            raise
        return found

    def queue(self, entries: Iterable[Entry], priority: int) -> Place:
        """Stand in line for room for checkpoints, all of them at once; ``open`` them when it is there.

        Raises ``EngineError``: ``OutOfMemory`` where there never will be room.
        """
        wanted = {each.name: self._sizes.of(each) for each in entries}
        if (total := sum(wanted.values())) > self.budget_bytes:
            raise OutOfMemory("load", total, self.budget_bytes)
        return self._line.enter(wanted, priority)

    def open(self, name: str) -> Checkpoint | Loading:
        """Return a checkpoint, or its loading, which is shared, and on which ``advance`` is to be called.

        Either stays until ``release``; a loading that nobody waits for any more ends. Raises ``EngineError``.
        """
        entry = self.catalogue.entry(name)
        if name in self._loaded and not self._is_loaded(entry):
            self._give_up(name)
        found = self._loaded.get(name) or self._joined(entry)
        self._held[name] += 1
        self._line.changed()
        if name in self._loaded:
            self._loaded.move_to_end(name)
        return found

    def advance(self, loading: Loading) -> Checkpoint | None:
        """Take one short step, or wait for it; return the checkpoint when it is there. Raises ``EngineError``."""
        name = loading.entry.name
        try:
            checkpoint = loading.advance()
        finally:
            if loading.has_ended and name in self._loading and self._loading[name].loading is loading:
                del self._loading[name]
                if loading.checkpoint is not None:
                    self._loaded[name] = loading.checkpoint
                self._line.changed()
        return checkpoint

    def release(self, name: str) -> None:
        """Take back one ``hold`` or ``open``."""
        self._held[name] -= 1
        self._line.changed()
        if self._held[name] > 0:
            return
        del self._held[name]
        if left := self._loading.pop(name, None):
            left.loading.close()

    def drop(self, name: str) -> None:
        """Forget a checkpoint that nobody holds, so that the next call reads it from disk."""
        if name not in self._held:
            self._loaded.pop(name, None)

    def give_up(self) -> None:
        """Forget every checkpoint that nobody holds."""
        for name in list(self._loaded):
            self.drop(name)

    def has(self, checkpoint: Checkpoint) -> bool:
        """Tell whether this very one is in memory, whatever is installed under its name by now."""
        return self._loaded.get(checkpoint.name) is checkpoint

    @property
    def loaded(self) -> list[str]:
        """What is in memory as it is installed now, the longest unused first."""
        return [name for name in self._loaded if self._is_installed(name)]

    @property
    def underway(self) -> list[str]:
        """What is being loaded."""
        return list(self._loading)

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
            raise ModelUnusable(name, _REPLACED)
        del self._loaded[name]

    def _joined(self, entry: Entry) -> Loading:
        if underway := self._loading.get(entry.name):
            if sha256_of(underway.loading.entry.files) != sha256_of(entry.files):
                raise ModelUnusable(entry.name, _REPLACED)
            return underway.loading
        if entry.kind not in LOADABLE:
            raise Refused("checkpoint", entry.name, f"it is of the kind {entry.kind}; a checkpoint is wanted")
        wanted = self._sizes.of(entry)
        self._make_room(wanted)
        loading = Loading(entry, self.device, self.dtype, self.read)
        self._loading[entry.name] = _OnItsWay(loading, wanted)
        return loading

    def _make_room(self, wanted: int) -> None:
        kept = sum(self._held_bytes().values())
        if kept + wanted > self.budget_bytes:
            raise OutOfMemory("load", wanted, max(0, self.budget_bytes - kept))
        underway = sum(each.wanted_bytes for each in self._loading.values())
        for name in [each for each in self._loaded if each not in self._held]:
            if underway + self.used_bytes + wanted <= self.budget_bytes:
                return
            del self._loaded[name]

    def _held_bytes(self) -> dict[str, int]:
        underway = {name: each.wanted_bytes for name, each in self._loading.items()}
        return underway | {name: self._loaded[name].weight_bytes for name in self._held if name in self._loaded}
