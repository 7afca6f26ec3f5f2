"""UniPC with its coefficients reckoned on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler

__all__ = ["UniPc"]


class UniPc(UniPCMultistepScheduler):
    """diffusers' scheduler, whose updates reckon with numbers on the latent's device and so wait for it in each step.

    Both updates are sums of tensors, each times a number that follows from the sigmas alone. diffusers' own code is
    asked for these numbers, with unit vectors of the CPU in the place of the tensors.
    Source of the method: Zhao et al., UniPC (2023).
    """

    model_outputs: list[Any]

    def multistep_uni_p_bh_update(
        self, model_output: torch.Tensor, *, sample: torch.Tensor, order: int, **_: Any
    ) -> torch.Tensor:
        """Predict: a sum of the sample and the denoised pictures of past evaluations."""
        update = super().multistep_uni_p_bh_update
        return self._summed([sample], lambda unit: update(unit[0], sample=unit[0], order=order))

    def multistep_uni_c_bh_update(
        self,
        this_model_output: torch.Tensor,
        *,
        last_sample: torch.Tensor,
        this_sample: torch.Tensor,
        order: int,
        **_: Any,
    ) -> torch.Tensor:
        """Correct: a sum of the last sample, the present denoised picture and those of past evaluations."""
        update = super().multistep_uni_c_bh_update
        return self._summed(
            [last_sample, this_model_output],
            lambda unit: update(unit[1], last_sample=unit[0], this_sample=unit[0], order=order),
        )

    def _summed(self, tensors: Sequence[torch.Tensor], update: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Return what ``update`` makes of the tensors and the model's outputs; it is linear in all of them."""
        outputs = self.model_outputs
        known = [each for each in outputs if each is not None]
        count = len(tensors) + len(known)
        units = torch.eye(count).reshape(count, 1, count)
        numbers = iter(range(len(tensors), count))
        self.model_outputs = [None if each is None else units[next(numbers)] for each in outputs]
        try:
            shares = update(units)[0].tolist()
        finally:
            self.model_outputs = outputs
        terms = [share * each for share, each in zip(shares, [*tensors, *known], strict=True) if share]
        return sum(terms[1:], start=terms[0])
