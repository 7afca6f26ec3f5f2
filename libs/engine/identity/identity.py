"""The people of one request, ready to be looked at in every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from engine.identity.pictures import mask_at

__all__ = ["SLOTS", "Identity"]

SLOTS = 4
"""References that a request has room for; empty ones add exactly nothing."""


@dataclass(eq=False)
class Identity:
    """``keys`` and ``values`` (2, SLOTS, T, width of all layers): the unconditional half, then the conditional.

    ``scales`` 0 to 1 and ``masks``, uint8 of any size or None for the whole frame, one for each of the first slots.
    References add up: two people whose masks overlap both act there, each with a softmax of its own. ``levels`` is how
    many sizes the denoiser has; ``sha256`` names each adapter's weights.
    """

    keys: torch.Tensor
    values: torch.Tensor
    scales: tuple[float, ...]
    masks: tuple[NDArray[np.uint8] | None, ...]
    levels: int
    sha256: Mapping[str, str] = field(default_factory=dict)
    _shares: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict, repr=False)

    def shares(self, latent_h: int, latent_w: int) -> torch.Tensor:
        """Return how much each slot acts where, (levels, SLOTS, Q), float32; made once for each size.

        Q counts the latent's positions row by row; a deeper level has fewer and leaves the rest zero.
        """
        size = (latent_h, latent_w)
        if size not in self._shares:
            self._shares[size] = self._made(*size)
        return self._shares[size]

    def _made(self, latent_h: int, latent_w: int) -> torch.Tensor:
        made = torch.zeros(self.levels, SLOTS, latent_h * latent_w)
        for slot, (scale, mask) in enumerate(zip(self.scales, self.masks, strict=True)):
            for level, inside in enumerate(mask_at(mask, latent_h, latent_w, self.levels)):
                made[level, slot, : inside.numel()] = scale * inside
        return made.to(self.keys.device)

    @staticmethod
    def batch(
        identities: Sequence[Identity | None], slots: int, guided: bool, latent_h: int, latent_w: int
    ) -> dict[str, torch.Tensor]:
        """Return ``cross_attention_kwargs`` for a batch of ``slots`` requests; the tensors have one shape always.

        Rows are all unconditional halves, then all conditional ones; without guidance only those. Requests that are
        None and slots beyond the given ones are empty. At least one request has to be there.
        """
        present = [*identities, *[None] * (slots - len(identities))]
        some = next(each for each in present if each is not None)
        halves = slice(0, 2) if guided else slice(1, 2)

        def rows(tensor_of: Callable[[Identity], torch.Tensor]) -> torch.Tensor:
            empty = torch.zeros_like(tensor_of(some))
            return torch.stack([empty if each is None else tensor_of(each) for each in present], dim=1).flatten(0, 1)

        return {
            "reference_keys": rows(lambda each: each.keys[halves]),
            "reference_values": rows(lambda each: each.values[halves]),
            "reference_shares": rows(lambda each: each.shares(latent_h, latent_w).expand(2, -1, -1, -1)[halves]),
        }
