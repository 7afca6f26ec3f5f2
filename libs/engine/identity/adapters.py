"""Adapters and image encoders in memory: read when they are first wanted, the least recently used leave."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.identity.adapter import Adapter, load_adapter, resampler_width
from engine.identity.encoder import encoder_width, load_encoder
from engine.models.entry import Entry, sha256_of
from engine.models.verification import verified
from engine.models.weights import weight_files
from engine.request import RenderRequest
from engine.variants.kept import Kept, bytes_of
from engine.variants.licence import Entries, permitted, require_licence
from engine.variants.weights import stored_bytes, weights_file

__all__ = ["Adapters", "Key", "Pair"]

Key = tuple[str, str, torch.dtype, torch.device, str]
_ENCODER_FOLDER = "image_encoder"
_LAYERS = (
    "cross_attention_dim",
    "block_out_channels",
    "layers_per_block",
    "transformer_layers_per_block",
    "down_block_types",
    "mid_block_type",
    "up_block_types",
)
"""Settings of a denoiser that say how many cross-attentions it has and how wide they are."""


class Pair(NamedTuple):
    """An adapter and the model that its image encoder is from, which may lie in the adapter's own folder."""

    adapter: Entry
    encoder: Entry

    @property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of the weights of both, by name."""
        return {each.name: sha256_of(each.files) for each in self}

    def keys(self, checkpoint: Checkpoint) -> tuple[Key, Key]:
        """Return what both are kept under; they serve every checkpoint whose layers are alike."""
        return _key(self.adapter, checkpoint), _key(self.encoder, checkpoint)


class Adapters:
    """Adapters and image encoders on the device within ``budget_bytes``; the one in use may alone take more."""

    def __init__(self, catalogue: Entries, budget_bytes: int) -> None:
        self._catalogue = catalogue
        self._adapters: Kept[Adapter] = Kept(budget_bytes, _size)
        self._encoders: WeakValueDictionary[Key, Any] = WeakValueDictionary()  # alive while an adapter uses them

    @property
    def weight_bytes(self) -> int:
        """What they take of the device's memory; an encoder that two adapters share counts once."""
        return self._adapters.used_bytes

    def pair(self, name: str, request: RenderRequest) -> Pair:
        """Look an adapter and its encoder up for a request. Raises ``Refused`` and ``ModelUnusable``."""
        entry = permitted(self._catalogue, name, "ip-adapter", request)
        source = self._encoder_source(entry)
        require_licence(source, request)
        return Pair(entry, source)

    def wanted_bytes(self, pairs: Iterable[Pair], checkpoint: Checkpoint) -> int:
        """Return what ``of`` will load of these; 0 where all of it is there."""
        missing = [pair for pair in pairs if pair.keys(checkpoint) not in self._adapters]
        files = {path: name for pair in missing for path, name in self._files(pair, checkpoint).items()}
        return sum(stored_bytes(name, [path], checkpoint.dtype) for path, name in files.items())

    def of(self, pair: Pair, checkpoint: Checkpoint) -> Adapter:
        """Return an adapter for a checkpoint. Raises ``ModelUnusable``."""
        return self._adapters.of(
            pair.keys(checkpoint),
            lambda: load_adapter(pair.adapter, self._encoder(pair.encoder, checkpoint), checkpoint),
            lambda: self.wanted_bytes([pair], checkpoint),
        )

    def give_up(self) -> None:
        """Let go of all of them."""
        self._adapters.give_up()

    def _encoder(self, source: Entry, checkpoint: Checkpoint) -> Any:
        key = _key(source, checkpoint)
        encoder = self._encoders.get(key)
        if encoder is None:
            verified(source)
            encoder = self._encoders[key] = load_encoder(source.name, source.path, checkpoint)
        return encoder

    def _files(self, pair: Pair, checkpoint: Checkpoint) -> dict[Path, str]:
        """Whose files have to be read; the encoder may be there already."""
        own, (_, key) = {weights_file(pair.adapter): pair.adapter.name}, pair.keys(checkpoint)
        if key in self._encoders:
            return own
        return own | dict.fromkeys(weight_files(pair.encoder.name, pair.encoder.path), pair.encoder.name)

    def _encoder_source(self, entry: Entry) -> Entry:
        """Find the image encoder in the adapter's own folder, else the installed one of the width it wants."""
        if (entry.path / _ENCODER_FOLDER).is_dir():
            return entry.within(_ENCODER_FOLDER)
        width = resampler_width(entry)
        for other in self._catalogue.entries("image-encoder"):
            if encoder_width(other.name, other.path) == width:
                return other
        raise ModelUnusable(entry.name, f"no image encoder of width {width} is installed")


def _key(entry: Entry, checkpoint: Checkpoint) -> Key:
    layers = ",".join(f"{getattr(checkpoint.unet.config, name)}" for name in _LAYERS)
    return entry.name, sha256_of(entry.files), checkpoint.dtype, checkpoint.device, layers


def _size(adapters: Collection[Adapter]) -> int:
    encoders = {id(each.encoder): each.encoder for each in adapters}.values()
    return bytes_of(weight for each in adapters for weight in each.weights) + bytes_of(
        weight for each in encoders for weight in each.parameters()
    )
