"""Where requests get their identities from: what adapters see in pictures, kept for the next shot with these people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from engine.checkpoint import Checkpoint
from engine.errors import Refused
from engine.identity.adapter import TOKENS
from engine.identity.adapters import Adapters, Key, Pair
from engine.identity.attention import places
from engine.identity.identity import SLOTS, Identity
from engine.request import Reference, RenderRequest
from engine.variants.kept import Kept, bytes_of
from engine.variants.licence import Entries

__all__ = ["Identities"]

Pictures = Sequence[NDArray[np.uint8]]
Seen = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one picture, both (2, 1, TOKENS, width of all layers)."""
_SHARE_OF_SIGHTS = 8
"""One part of the budget in so many; SDXL keeps 10 MB of a picture in half precision."""
_MOST_SIGHTS = 128
"""More people, in more looks, than one film's shots go back and forth between."""


class Identities:
    """What turns a request's reference pictures into an ``Identity``. Called by the device's thread alone.

    Adapters, image encoders and what they have seen stay on the device within ``budget_bytes``, see ``Kept``.
    """

    def __init__(self, catalogue: Entries, budget_bytes: int) -> None:
        sights = budget_bytes // _SHARE_OF_SIGHTS
        self._adapters = Adapters(catalogue, budget_bytes - sights)
        self._seen: Kept[Seen] = Kept(sights, _size, most=_MOST_SIGHTS)

    @property
    def weight_bytes(self) -> int:
        """What adapters, encoders and what they have seen take of the device's memory."""
        return self._adapters.weight_bytes + self.seen_bytes

    @property
    def seen_bytes(self) -> int:
        """What is kept of pictures."""
        return self._seen.used_bytes

    def wanted_bytes(self, checkpoint: Checkpoint, request: RenderRequest, sha256s: Sequence[str] = ()) -> int:
        """Return what ``of`` will load onto the device; 0 where all of it is there, or nothing has to be looked at."""
        pairs = {each: self._adapters.pair(each.adapter, request) for each in request.references}
        unseen = [pair for each, pair in pairs.items() if _name(each, pair, checkpoint, sha256s) not in self._seen]
        return self._adapters.wanted_bytes(unseen, checkpoint)

    def of(
        self,
        checkpoint: Checkpoint,
        request: RenderRequest,
        pictures: Pictures,
        masks: Pictures,
        sha256s: Sequence[str] = (),
    ) -> Identity | None:
        """Look at a request's people; None where it has none.

        ``pictures`` are RGB, uint8 (h, w, 3), ``masks`` uint8 (h, w) in the proportions of the drawn frame;
        ``sha256s`` tell the pictures apart, without them nothing is kept. Raises ``Refused`` and ``ModelUnusable``.
        """
        if not request.references:
            return None
        _require_sense(request, len(pictures), len(masks))
        pairs = [self._adapters.pair(each.adapter, request) for each in request.references]
        seen = [
            self._look(each, pair, checkpoint, pictures, sha256s)
            for each, pair in zip(request.references, pairs, strict=True)
        ]
        return Identity(
            keys=_padded([keys for keys, _ in seen]),
            values=_padded([values for _, values in seen]),
            scales=tuple(each.scale for each in request.references),
            masks=tuple(None if each.mask is None else masks[each.mask] for each in request.references),
            levels=len(checkpoint.unet.config.block_out_channels),
            sha256={name: each for pair in pairs for name, each in pair.sha256.items()},
        )

    def give_up(self) -> None:
        """Let go of everything: an ``Identity`` that was made needs none of it any more."""
        self._adapters.give_up()
        self._seen.give_up()

    def empty(self, checkpoint: Checkpoint) -> Identity:
        """Return one without any people, of the same shapes: what kernels are captured with."""
        zeros = torch.zeros(2, SLOTS, TOKENS, _width(checkpoint), dtype=checkpoint.dtype, device=checkpoint.device)
        return Identity(zeros, zeros, (), (), len(checkpoint.unet.config.block_out_channels))

    def _look(
        self, reference: Reference, pair: Pair, checkpoint: Checkpoint, pictures: Pictures, sha256s: Sequence[str]
    ) -> Seen:
        def seen() -> Seen:
            return self._adapters.of(pair, checkpoint).seen(pictures[reference.picture])

        name = _name(reference, pair, checkpoint, sha256s)
        return seen() if name is None else self._seen.of(name, seen, lambda: _seen_bytes(checkpoint))


def _name(
    reference: Reference, pair: Pair, checkpoint: Checkpoint, sha256s: Sequence[str]
) -> tuple[str, tuple[Key, Key]] | None:
    """What is seen follows from the picture, the adapter and its encoder; None where pictures have no names."""
    return (sha256s[reference.picture], pair.keys(checkpoint)) if sha256s else None


def _width(checkpoint: Checkpoint) -> int:
    return sum(place.stop - place.start for place in places(checkpoint.unet).values())


def _seen_bytes(checkpoint: Checkpoint) -> int:
    return 2 * 2 * TOKENS * _width(checkpoint) * checkpoint.dtype.itemsize


def _size(seen: Collection[Seen]) -> int:
    return bytes_of(tensor for each in seen for tensor in each)


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
