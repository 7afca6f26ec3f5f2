"""What all requests on one device share: models, their variants, kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.checkpoint import Checkpoint
from engine.control import Controls
from engine.device import Device
from engine.drawing.budgets import Budgets
from engine.drawing.expert import require_usable
from engine.identity import Identities, install
from engine.kernels.port import Kernels
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
        self._open: Counter[str] = Counter()

    def known(self, name: str) -> Checkpoint | None:
        """Return a checkpoint if it is in memory already."""
        return self.models.checkpoint(name) if name in self.models.loaded else None

    @contextmanager
    def opened(self, name: str, kind: str, request: RenderRequest) -> Iterator[Checkpoint]:
        """Enclose what draws with a checkpoint or refiner, which stays in memory so long. Raises ``EngineError``."""
        permitted(self.catalogue, name, kind, request)
        if name not in self.models.loaded:
            self._make_way()
        checkpoint: Checkpoint = self.models.hold(name)
        self._open[name] += 1
        try:
            yield require_usable(checkpoint)
        finally:
            self._open[name] -= 1
            self.models.release(name)

    def variant(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> str:
        """Return the SHA-256 of a checkpoint with LoRAs, which need not have been merged yet."""
        return self._variants_of(checkpoint).name(loras)

    def ready(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> bool:
        """Whether ``use`` would only copy; else it reads files and merges, which is a unit of loading."""
        return self._variants_of(checkpoint).ready(loras)

    def use(self, checkpoint: Checkpoint, loras: tuple[LoraUse, ...]) -> None:
        """Let a checkpoint's live weights carry these LoRAs.

        What is merged is kept as far as there is room; it is merged all the same where there is none.
        """
        variants = self._variants_of(checkpoint)
        wanted = variants.wanted_bytes(loras)
        variants.use(loras, is_kept=wanted == 0 or self._has_room(variants, wanted))

    def give_up(self) -> None:
        """Let go of whatever the requests that run can do without, for memory has run out."""
        self._make_way()
        for name in self.models.loaded:
            self.models.drop(name)
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
        variants = Variants(checkpoint, self.catalogue, self._budgets.variant_bytes)
        self._variants[checkpoint.name] = checkpoint, variants
        return variants

    def _make_way(self) -> None:
        """Let go of what is kept of checkpoints that may have to leave the memory: they would not leave otherwise."""
        for name in [each for each in self._variants if not self._open[each]]:
            checkpoint, variants = self._variants.pop(name)
            variants.use(())
            self.kernels.forget(checkpoint.sha256)
