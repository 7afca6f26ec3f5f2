"""Where requests get their identities from: adapters and image encoders in memory, the least recently used leave."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable, Refused
from engine.identity.adapter import TOKENS, Adapter, load_adapter, resampler_width
from engine.identity.attention import places
from engine.identity.encoder import encoder_width, load_encoder
from engine.identity.identity import SLOTS, Identity
from engine.models.entry import Entry, sha256_of
from engine.models.verification import verified
from engine.models.weights import weight_files
from engine.request import RenderRequest
from engine.variants.kept import Kept, bytes_of
from engine.variants.licence import Entries, permitted, require_licence
from engine.variants.weights import stored_bytes, weights_file

__all__ = ["Identities"]

Pictures = Sequence[NDArray[np.uint8]]
Key = tuple[str, str, torch.dtype, torch.device, tuple[Any, ...]]
_ENCODER_FOLDER = "image_encoder"


class Identities:
    """What turns a request's reference pictures into an ``Identity``. Called by the device's thread alone.

    Adapters and image encoders stay on the device within ``budget_bytes``; the one in use may alone take more.
    """

    def __init__(self, catalogue: Entries, budget_bytes: int) -> None:
        self._catalogue = catalogue
        self._adapters: Kept[Adapter] = Kept(budget_bytes, _size)
        self._encoders: WeakValueDictionary[Key, Any] = WeakValueDictionary()  # alive while an adapter uses them

    @property
    def weight_bytes(self) -> int:
        """What adapters and encoders take of the device's memory; an encoder that two adapters share counts once."""
        return self._adapters.used_bytes

    def ready(self, checkpoint: Checkpoint, request: RenderRequest) -> bool:
        """Whether all adapters of a request are in memory; else ``of`` reads them, which is a unit of loading."""
        return all(
            _key(self._catalogue.entry(each.adapter), checkpoint) in self._adapters for each in request.references
        )

    def wanted_bytes(self, checkpoint: Checkpoint, request: RenderRequest) -> int:
        """Return what ``of`` will load onto the device; 0 where all of it is there."""
        entries = [self._catalogue.entry(name) for name in {each.adapter for each in request.references}]
        missing = [entry for entry in entries if _key(entry, checkpoint) not in self._adapters]
        files = {path for entry in missing for path in self._files(entry, checkpoint)}
        return stored_bytes(files, checkpoint.dtype)

    def of(
        self, checkpoint: Checkpoint, request: RenderRequest, pictures: Pictures, masks: Pictures
    ) -> Identity | None:
        """Look at a request's people; None where it has none.

        ``pictures`` are RGB, uint8 (h, w, 3), ``masks`` uint8 (h, w) in the proportions of the drawn frame. Raises
        ``Refused`` and ``ModelUnusable``.
        """
        if not request.references:
            return None
        _require_sense(request, len(pictures), len(masks))
        adapters = [self._adapter(each.adapter, checkpoint, request) for each in request.references]
        shown = [pictures[each.picture] for each in request.references]
        seen = [adapter.seen(picture) for adapter, picture in zip(adapters, shown, strict=True)]
        return Identity(
            keys=_padded([keys for keys, _ in seen]),
            values=_padded([values for _, values in seen]),
            scales=tuple(each.scale for each in request.references),
            masks=tuple(None if each.mask is None else masks[each.mask] for each in request.references),
            levels=len(checkpoint.unet.config.block_out_channels),
            sha256={name: each for adapter in adapters for name, each in adapter.sha256.items()},
        )

    def give_up(self) -> None:
        """Let go of all adapters and encoders: an ``Identity`` that was made does not need them any more."""
        self._adapters.give_up()

    def empty(self, checkpoint: Checkpoint) -> Identity:
        """Return one without any people, of the same shapes: what kernels are captured with."""
        width = sum(place.stop - place.start for place in places(checkpoint.unet).values())
        zeros = torch.zeros(2, SLOTS, TOKENS, width, dtype=checkpoint.dtype, device=checkpoint.device)
        return Identity(zeros, zeros, (), (), len(checkpoint.unet.config.block_out_channels))

    def _adapter(self, name: str, checkpoint: Checkpoint, request: RenderRequest) -> Adapter:
        entry = permitted(self._catalogue, name, "ip-adapter", request)
        source = self._encoder_source(entry)
        require_licence(source, request)
        return self._adapters.of(
            _key(entry, checkpoint),
            lambda: load_adapter(entry, source, self._encoder(source, checkpoint), checkpoint),
            lambda: stored_bytes(self._files(entry, checkpoint), checkpoint.dtype),
        )

    def _encoder(self, source: Entry, checkpoint: Checkpoint) -> Any:
        key = _key(source, checkpoint)
        encoder = self._encoders.get(key)
        if encoder is None:
            verified(source)
            encoder = self._encoders[key] = load_encoder(source.name, source.path, checkpoint)
        return encoder

    def _files(self, entry: Entry, checkpoint: Checkpoint) -> set[Path]:
        """What has to be read for an adapter; its encoder may be there already."""
        source = self._encoder_source(entry)
        loaded = _key(source, checkpoint) in self._encoders
        return {weights_file(entry), *([] if loaded else weight_files(source.name, source.path))}

    def _encoder_source(self, entry: Entry) -> Entry:
        """Find the image encoder in the adapter's own folder, else the installed one of the width it wants."""
        own = entry.path / _ENCODER_FOLDER
        if own.is_dir():
            return entry.within(_ENCODER_FOLDER)
        width = resampler_width(entry)
        for other in self._catalogue.entries("image-encoder"):
            if encoder_width(other.name, other.path) == width:
                return other
        raise ModelUnusable(entry.name, f"no image encoder of width {width} is installed")


def _key(entry: Entry, checkpoint: Checkpoint) -> Key:
    """Adapters serve every checkpoint whose layers have the same widths."""
    widths = (checkpoint.unet.config.cross_attention_dim, *map(str, places(checkpoint.unet).values()))
    return entry.name, sha256_of(entry.files), checkpoint.dtype, checkpoint.device, widths


def _size(adapters: Collection[Adapter]) -> int:
    encoders = {id(each.encoder): each.encoder for each in adapters}.values()
    return bytes_of(weight for each in adapters for weight in each.weights) + bytes_of(
        weight for each in encoders for weight in each.parameters()
    )


def _padded(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """(2, 1, T, width) of each reference as (2, SLOTS, T, width); empty slots are zero."""
    return torch.cat([*rows, *[torch.zeros_like(rows[0])] * (SLOTS - len(rows))], dim=1)


def _require_sense(request: RenderRequest, pictures: int, masks: int) -> None:
    if len(request.references) > SLOTS:
        raise Refused("references", len(request.references), f"at most {SLOTS}")
    for number, each in enumerate(request.references):
        if not 0 <= each.picture < pictures:
            raise Refused(f"references[{number}].picture", each.picture, f"there are {pictures} pictures")
        if each.mask is not None and not 0 <= each.mask < masks:
            raise Refused(f"references[{number}].mask", each.mask, f"there are {masks} masks")
