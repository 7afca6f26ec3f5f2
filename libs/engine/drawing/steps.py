"""Counting the steps of a request over all its images, and saying so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from engine.drawing.preview import Preview
from engine.work import Progress

__all__ = ["Steps"]


class Steps:
    """Tells of each step that was taken; each ``preview_every`` of them with a preview, 0 means never.

    A preview that is still on its way from the device is told with a later step: waiting for it would leave the device
    idle. Only with the last step it is waited for, as what comes then waits anyway.
    """

    def __init__(self, total: int, preview_every: int, architecture: str, tell: Callable[[Progress], None]) -> None:
        self._total = total
        self._preview_every = preview_every
        self._architecture = architecture
        self._tell = tell
        self._taken = 0
        self._underway: list[Preview] = []

    def taken(self, latent: torch.Tensor) -> None:
        """Tell of one step that led to this latent."""
        self._taken += 1
        if self._preview_every > 0 and self._taken % self._preview_every == 0:
            self._underway.append(Preview(latent, self._architecture))
        self._tell(Progress(self._taken, self._total, self._arrived()))

    def _arrived(self) -> NDArray[np.uint8] | None:
        """Return the newest preview that is there; older ones are of no interest any more."""
        is_last = self._taken == self._total
        arrived = [at for at, each in enumerate(self._underway, 1) if is_last or each.has_arrived]
        if not arrived:
            return None
        newest = self._underway[arrived[-1] - 1]
        del self._underway[: arrived[-1]]
        return newest.pixels()
