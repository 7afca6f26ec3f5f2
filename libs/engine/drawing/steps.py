"""Counting the steps of a request over all its images, and saying so."""

from __future__ import annotations

from collections.abc import Callable

import torch

from engine.drawing.preview import latent_rgb
from engine.work import Progress

__all__ = ["Steps"]


class Steps:
    """Tells of each step that was taken; each ``preview_every`` of them with a preview, 0 means never."""

    def __init__(self, total: int, preview_every: int, architecture: str, tell: Callable[[Progress], None]) -> None:
        self._total = total
        self._preview_every = preview_every
        self._architecture = architecture
        self._tell = tell
        self._taken = 0

    def taken(self, latent: torch.Tensor) -> None:
        """Tell of one step that led to this latent."""
        self._taken += 1
        is_due = self._preview_every > 0 and self._taken % self._preview_every == 0
        preview = latent_rgb(latent, self._architecture) if is_due else None
        self._tell(Progress(self._taken, self._total, preview))
