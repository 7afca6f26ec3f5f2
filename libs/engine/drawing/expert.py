"""A checkpoint and what it is told of one request; a refiner is another one for the last steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from engine.checkpoint import Checkpoint
from engine.control import Guide
from engine.drawing.evaluation import Group, Row
from engine.errors import ModelUnusable
from engine.identity import Identity
from engine.request import LoraUse
from engine.shapes import ShapeClass
from engine.text import Conditioning

__all__ = ["Expert", "require_usable"]

REFINER = "sdxl-refiner"
AESTHETIC_SCORE, NEGATIVE_AESTHETIC_SCORE = 6.0, 2.5
"""What the refiner is told of the picture, as diffusers' pipelines tell it by default."""
CHANNELS = 4


@dataclass
class Expert:
    """``variant`` is the SHA-256 of the checkpoint with its LoRAs merged in."""

    checkpoint: Checkpoint
    variant: str
    loras: tuple[LoraUse, ...] = ()
    text: Conditioning | None = None
    identity: Identity | None = None
    guide: Guide | None = None

    def seen(self, shape: ShapeClass) -> ShapeClass:
        """Return a request's class as it is for this checkpoint: a refiner looks at words alone."""
        if self.checkpoint.architecture != REFINER:
            return shape
        return replace(shape, architecture=REFINER, reference_slots=0, control=False)

    def group(self, shape: ShapeClass) -> Group:
        """Return the group that this request's steps of a class belong to."""
        control = "" if self.guide is None else self.guide.sha256
        return Group(self.seen(shape), self.checkpoint.place, self.variant, control, str(self.checkpoint.dtype))

    def row(self, shape: ShapeClass) -> Row:
        """Return what stays the same over the steps of a pass; latent and timestep are put in for each."""
        if self.text is None:
            raise RuntimeError("steps before the prompt was encoded")
        prompt, pooled = self.text.prompt, self.text.pooled
        if shape.guided:
            prompt = torch.cat([self.text.negative, prompt])
            pooled = None if pooled is None else torch.cat([self.text.negative_pooled, pooled])
        empty, ids = prompt.new_empty(0), time_ids(self.checkpoint, shape)
        return Row(self.checkpoint, self.loras, empty, empty, prompt, pooled, ids, self.identity, self.guide)


def require_usable(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose UNet takes a latent, a timestep and words. Raises ``ModelUnusable`` for others."""
    config = checkpoint.unet.config
    if config.in_channels != CHANNELS:
        raise ModelUnusable(
            checkpoint.name, f"its UNet takes {config.in_channels} channels, the engine gives {CHANNELS}"
        )
    if config.time_cond_proj_dim is not None:
        raise ModelUnusable(checkpoint.name, "its UNet wants to be told the guidance; use its LoRA on the base instead")
    return checkpoint


def time_ids(checkpoint: Checkpoint, shape: ShapeClass) -> torch.Tensor | None:
    """Return what an SDXL model is told of the frame: (n, 6), of a refiner (n, 5), None for models without.

    Original size, crop, then target size, or an aesthetic score; a frame is drawn whole at its size. Source: Podell
    et al., SDXL (2023), 2.2.
    """
    size = [float(shape.height_px), float(shape.width_px)]
    last = {"sdxl": (size, size), REFINER: ([NEGATIVE_AESTHETIC_SCORE], [AESTHETIC_SCORE])}
    if checkpoint.architecture not in last:
        return None
    halves = [[*size, 0.0, 0.0, *each] for each in last[checkpoint.architecture]]
    told = halves if shape.guided else halves[1:]
    return torch.tensor(told, dtype=checkpoint.dtype, device=checkpoint.device)
