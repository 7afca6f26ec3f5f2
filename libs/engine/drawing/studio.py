"""What all requests on one device share: models, their variants, kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from engine.checkpoint import Checkpoint
from engine.control import Controls
from engine.device import Device
from engine.drawing.budgets import Budgets
from engine.identity import Identities, install
from engine.kernels.arrangement import arrange
from engine.kernels.port import Kernels
from engine.models.ahead import Ahead
from engine.models.line import Place
from engine.models.loading import Loading
from engine.request import LoraUse, RenderRequest
from engine.variants.licence import permitted
from engine.variants.variants import Variants

__all__ = ["Studio"]


class Studio:
    """``models`` loads checkpoints on demand, ``catalogue`` knows everything else."""

    def __init__(self, models: Any, catalogue: Any, device: Device, kernels: Kernels, budgets: Budgets) -> None:
        self.models, self.catalogue = models, catalogue
        self.device, self.kernels = device, kernels
        self.identities = Identities(catalogue, budgets.identity_bytes)
        self.controls = Controls(catalogue, budgets.control_bytes, kernels.forget)
        self._budgets = budgets
        self._variants: dict[str, tuple[Checkpoint, Variants]] = {}

    def known(self, name: str) -> Checkpoint | None:
        """Return a checkpoint if it is in memory already."""
        return self.models.checkpoint(name) if name in self.models.loaded else None

    def queue(self, names: Mapping[str, str], request: RenderRequest) -> Place:
        """Let a request stand in line for checkpoints, named by their kind. Raises ``EngineError``."""
        entries = [permitted(self.catalogue, name, kind, request) for kind, name in names.items()]
        place: Place = self.models.queue(entries, request.priority)
        return place

    def open(self, name: str, kind: str, request: RenderRequest) -> Checkpoint | Loading:
        """Return a checkpoint or refiner or its loading, which stays until ``shut``. Raises ``EngineError``."""
        permitted(self.catalogue, name, kind, request)
        found: Checkpoint | Loading = self.models.open(name)
        self._let_go()
        return found

    def shut(self, name: str) -> None:
        """Take back one ``open``."""
        self.models.release(name)

    def variant(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> str:
        """Return the SHA-256 of a checkpoint with LoRAs, which need not have been merged yet."""
        return self._variants_of(checkpoint).name(loras)

    def ready(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> bool:
        """Whether ``use`` would only copy; else it reads files and merges, which is a unit of loading."""
        return self._variants_of(checkpoint).ready(loras)

    def verifying(self, names: Iterable[str]) -> Ahead:
        """Return what a unit waits for that reads these models. Raises ``Refused`` for one that is not there."""
        return Ahead([self.catalogue.entry(name) for name in dict.fromkeys(names)])

    def use(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> None:
        """Let a checkpoint's live weights carry these LoRAs. Raises ``OutOfMemory`` before any of them has changed.

        What is merged is kept as far as there is room; it is merged all the same where there is none.
        """
        variants = self._variants_of(checkpoint)
        wanted, copied = variants.wanted_bytes(loras), variants.copied_bytes(loras)
        is_kept = wanted == 0 or self._has_room(variants, wanted + copied)
        with self.device.allocating("load", copied) if copied else nullcontext():
            variants.use(loras, is_kept=is_kept)

    def give_up(self) -> None:
        """Let go of whatever the requests that run can do without, for memory has run out."""
        self.models.give_up()
        self._let_go()
        for _, variants in self._variants.values():
            variants.give_up()
        self.identities.give_up()
        self.controls.give_up()
        self.device.release()

    def _has_room(self, variants: Variants, wanted_bytes: int) -> bool:
        """Checkpoints share one budget; the others' variants leave where this one's need it."""
        others = [each for _, each in self._variants.values() if each is not variants]
        if variants.kept_bytes + sum(each.kept_bytes for each in others) + wanted_bytes > self._budgets.variant_bytes:
            for each in others:
                each.give_up()
        return wanted_bytes + self._budgets.working_bytes <= self.device.free_bytes()

    def _variants_of(self, checkpoint: Checkpoint) -> Variants:
        known, variants = self._variants.get(checkpoint.name, (None, None))
        if known is checkpoint and variants is not None:
            return variants
        install(checkpoint.unet)
        arrange(checkpoint)  # before any weight is copied or any of their places is kept
        variants = Variants(checkpoint, self.catalogue, self._budgets.variant_bytes)
        self._variants[checkpoint.name] = checkpoint, variants
        return variants

    def _let_go(self) -> None:
        """Forget what is kept of checkpoints that had to leave the memory: it holds their weights."""
        for checkpoint, _ in [*self._variants.values()]:
            if not self.models.has(checkpoint):
                del self._variants[checkpoint.name]
                self.kernels.forget(checkpoint.place)
