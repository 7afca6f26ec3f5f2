"""Where requests get their layout guides from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from engine.checkpoint import Checkpoint
from engine.control.guide import Guide
from engine.control.network import load_network
from engine.errors import Refused
from engine.models.entry import Entry, sha256_of
from engine.models.weights import weight_files
from engine.request import LayoutGuide, RenderRequest
from engine.variants.kept import Kept, bytes_of
from engine.variants.licence import Entries, permitted
from engine.variants.weights import stored_bytes

__all__ = ["Controls"]

Loaded = tuple[Any, str]
"""A network and the SHA-256 of its weights."""


class Controls:
    """ControlNets on the device within ``budget_bytes``. Called by the device's thread alone.

    ``left`` is told the SHA-256 of each that leaves; those that a guide still uses stay.
    """

    def __init__(self, catalogue: Entries, budget_bytes: int, left: Callable[[str], None] = lambda _: None) -> None:
        self._catalogue = catalogue
        self._networks: Kept[Loaded] = Kept(budget_bytes, _size, self._is_used, lambda loaded: left(loaded[1]))
        self._guides: WeakSet[Guide] = WeakSet()  # of requests that have not ended

    @property
    def weight_bytes(self) -> int:
        """What they take of the device's memory."""
        return self._networks.used_bytes

    def ready(self, checkpoint: Checkpoint, request: RenderRequest) -> bool:
        """Whether the request's network is in memory; else ``of`` reads it, which is a unit of loading."""
        layout = _by_network(request)
        return layout is None or _key(self._catalogue.entry(layout.kind), checkpoint) in self._networks

    def wanted_bytes(self, checkpoint: Checkpoint, request: RenderRequest) -> int:
        """Return what ``of`` will load onto the device; 0 where all of it is there. Raises as ``of`` does."""
        layout = _by_network(request)
        if layout is None:
            return 0
        entry = permitted(self._catalogue, layout.kind, "controlnet", request)
        if self.ready(checkpoint, request):
            return 0
        return stored_bytes(entry.name, weight_files(entry.name, entry.path), checkpoint.dtype)

    def of(self, checkpoint: Checkpoint, request: RenderRequest, layout: NDArray[np.uint8] | None) -> Guide | None:
        """Return a request's guide; None where it has none or starts from the frame itself (``img2img``).

        Raises ``Refused`` and ``ModelUnusable``.
        """
        asked = _by_network(request)
        if asked is None:
            return None
        if layout is None:
            raise Refused("layout", asked.kind, "a picture named `layout` has to come with the request")
        entry = permitted(self._catalogue, asked.kind, "controlnet", request)
        network, sha256 = self._networks.of(
            _key(entry, checkpoint),
            lambda: (load_network(entry, checkpoint), sha256_of(entry.files)),
            lambda: self.wanted_bytes(checkpoint, request),
        )
        guide = Guide(network, sha256, asked.scale, layout)
        self._guides.add(guide)
        return guide

    def give_up(self) -> None:
        """Let go of the networks that no guide uses any more."""
        self._networks.give_up()

    def _is_used(self, loaded: Loaded) -> bool:
        return any(each.network is loaded[0] for each in self._guides)


def _by_network(request: RenderRequest) -> LayoutGuide | None:
    return request.layout if request.layout and request.layout.is_network else None


def _size(loaded: Collection[Loaded]) -> int:
    return bytes_of(each for network, _ in loaded for each in network.parameters())


def _key(entry: Entry, checkpoint: Checkpoint) -> tuple[Any, ...]:
    """One network serves every checkpoint of the same layout."""
    settings = checkpoint.unet.config
    layout = (settings.cross_attention_dim, tuple(settings.block_out_channels), settings.addition_embed_type)
    return entry.name, sha256_of(entry.files), checkpoint.dtype, checkpoint.device, layout
