"""Which LoRAs the live weights carry: every mixture is merged from untouched weights, none is ever taken out again."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence

import torch

from engine.checkpoint import Checkpoint
from engine.models.entry import Entry
from engine.models.verification import verified
from engine.request import LoraUse
from engine.variants.licence import Entries
from engine.variants.live import Layer, LiveWeights
from engine.variants.lora import Change, changes_of, layers_of
from engine.variants.names import networks
from engine.variants.weights import weights_file

__all__ = ["Variants"]

Scaled = list[tuple[float, Change]]


class Variants:
    """The weights of one checkpoint with LoRAs merged in. Called by the device's thread alone.

    Merged weights of several variants stay on the device within ``budget_bytes``; the least recently used leave first.
    """

    def __init__(self, checkpoint: Checkpoint, catalogue: Entries, budget_bytes: int) -> None:
        self._checkpoint, self._catalogue, self._budget = checkpoint, catalogue, budget_bytes
        self._weights = LiveWeights(networks(checkpoint))
        self._merged: OrderedDict[str, dict[Layer, torch.Tensor]] = OrderedDict()
        self._live: tuple[LoraUse, ...] | None = ()
        self._sha256 = checkpoint.sha256

    @property
    def kept_bytes(self) -> int:
        """What merged weights take of the device's memory; never more than the budget."""
        return sum(self._weights.size_bytes(weights) for weights in self._merged.values())

    def ready(self, loras: tuple[LoraUse, ...]) -> bool:
        """Whether ``use`` would only copy; else it reads files and merges, which is a unit of loading."""
        return loras in (self._live, ()) or self._name(self._entries(loras), loras) in self._merged

    def wanted_bytes(self, loras: tuple[LoraUse, ...]) -> int:
        """Return what ``use`` will keep on the device besides; 0 where it only copies, or where nothing can be kept."""
        if self.ready(loras):
            return 0
        size = self._weights.size_bytes(self._layers(loras))
        return size if size <= self._budget else 0

    def copied_bytes(self, loras: tuple[LoraUse, ...]) -> int:
        """Return what ``use`` has to copy of untouched weights before, whatever is kept; 0 beside a GPU's memory."""
        if self._checkpoint.device.type != "cpu" or self.ready(loras):
            return 0
        return self._weights.size_bytes(self._weights.uncopied(self._layers(loras)))

    def name(self, loras: tuple[LoraUse, ...]) -> str:
        """Return the SHA-256 of a mixture, which ``use`` need not have made; without LoRAs the checkpoint's own."""
        return self._sha256 if loras == self._live else self._name(self._entries(loras), loras)

    def give_up(self) -> None:
        """Let go of the merged weights that are kept, and of copies that nothing needs; what is live stays live."""
        self._merged.clear()
        self._weights.give_up()

    def use(self, loras: tuple[LoraUse, ...], is_kept: bool = True) -> str:
        """Let the live weights be those of the checkpoint with these LoRAs, merged in float32 and in their order.

        Returns the SHA-256 of the mixture. ``is_kept`` asks for copies of what has to be merged, for the next time.
        Raises ``ModelUnusable``, before anything has changed, where a LoRA is corrupt or for another base.
        """
        if loras == self._live:
            return self._sha256
        entries = self._entries(loras)
        name = self._name(entries, loras)
        known = name in self._merged or not loras
        changes = {} if known else self._changes(entries, loras)
        self._live = None  # until all is written: whatever fails below, the next call writes again
        self._copy(name) if known else self._merge(name, changes, is_kept)
        self._live, self._sha256 = loras, name
        return name

    def _layers(self, loras: Sequence[LoraUse]) -> set[Layer]:
        return {layer for entry in self._entries(loras) for layer in layers_of(entry, self._checkpoint)}

    def _entries(self, loras: Sequence[LoraUse]) -> list[Entry]:
        return [self._catalogue.entry(each.name) for each in loras]

    def _name(self, entries: Sequence[Entry], loras: Sequence[LoraUse]) -> str:
        if not loras:
            return self._checkpoint.sha256
        used = [[_sha256(entry), float(each.scale)] for entry, each in zip(entries, loras, strict=True)]
        return hashlib.sha256(json.dumps([self._checkpoint.sha256, used]).encode()).hexdigest()

    def _changes(self, entries: Sequence[Entry], loras: Sequence[LoraUse]) -> dict[Layer, Scaled]:
        changes: dict[Layer, Scaled] = {}
        for entry, each in zip(entries, loras, strict=True):
            for change in changes_of(entry, self._checkpoint):
                changes.setdefault((change.network, change.path), []).append((each.scale, change))
        return changes

    def _copy(self, name: str) -> None:
        weights = self._merged.get(name, {})
        if weights:
            self._merged.move_to_end(name)
        self._weights.replace(weights, weights.__getitem__)

    def _merge(self, name: str, changes: dict[Layer, Scaled], is_kept: bool) -> None:
        """Merge layer by layer straight into the live weights, keeping copies where the budget has room for all."""
        kept: dict[Layer, torch.Tensor] | None = {} if is_kept and self._make_room(changes) else None

        def merged(layer: Layer) -> torch.Tensor:
            weight = self._sum(layer, changes[layer])
            if kept is not None:
                kept[layer] = weight
            return weight

        self._weights.replace(changes, merged)
        if kept is not None:
            self._merged[name] = kept

    def _sum(self, layer: Layer, changes: Scaled) -> torch.Tensor:
        untouched, device = self._weights.untouched(layer), self._checkpoint.device
        weight = untouched.to(device, torch.float32, copy=True)
        for scale, change in changes:
            weight += scale * change.delta(device).reshape(weight.shape)
        return weight.to(untouched.dtype)

    def _make_room(self, layers: dict[Layer, Scaled]) -> bool:
        wanted = self._weights.size_bytes(layers)
        if wanted > self._budget:
            return False
        while self.kept_bytes + wanted > self._budget:
            self._merged.popitem(last=False)
        return True


def _sha256(entry: Entry) -> str:
    path = weights_file(entry)
    return entry.files.get(path.name) or verified(entry, path.name)[path.name]
