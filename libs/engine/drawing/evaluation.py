"""The one place where the UNet is called: always with tensors of the shape class's own shapes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch

from engine.checkpoint import Checkpoint
from engine.control import Guide, residuals
from engine.identity import Identity
from engine.request import LoraUse
from engine.shapes import ShapeClass

__all__ = ["Group", "Row", "batch", "call_of", "evaluate", "shares"]

ATTENTION = "attention_"
"""Begins the names of the inputs that go to the attention processors."""


class Group(NamedTuple):
    """What requests have in common whose steps may share a batch: one shape and one set of weights.

    ``checkpoint`` is its place in memory; ``control`` is the SHA-256 of the ControlNet, empty without one.
    """

    shape: ShapeClass
    checkpoint: str
    variant: str
    control: str
    dtype: str

    @property
    def kernels(self) -> tuple[Hashable, ...]:
        """What this group's kernels are kept under: variants share them, their weights lie in the same places."""
        return ("unet", self.shape, self.checkpoint, self.control, self.dtype)


@dataclass(frozen=True)
class Row:
    """What one request puts into a batch, and whose weights it wants.

    ``latent`` (1, C, h, w) as the sampler scales it, float32; ``timestep`` (1,) float32. n is 2 with guidance, the
    unconditional half first, else 1: ``prompt`` (n, L, D) of L tokens; ``pooled`` (n, P) and ``time_ids`` (n, 6 or 5)
    or None. ``identity`` are the people to be recognised, ``guide`` the layout that a ControlNet keeps to.
    """

    checkpoint: Checkpoint
    loras: tuple[LoraUse, ...]
    latent: torch.Tensor
    timestep: torch.Tensor
    prompt: torch.Tensor
    pooled: torch.Tensor | None = None
    time_ids: torch.Tensor | None = None
    identity: Identity | None = None
    guide: Guide | None = None


def evaluate(
    checkpoint: Checkpoint,
    control: Any = None,
    *,
    sample: torch.Tensor,
    timesteps: torch.Tensor,
    prompt: torch.Tensor,
    pooled: torch.Tensor | None = None,
    time_ids: torch.Tensor | None = None,
    **others: torch.Tensor,
) -> torch.Tensor:
    """Return the UNet's output (rows, C, h, w) in the checkpoint's dtype; depends on nothing but these tensors.

    ``control`` is a ControlNet, whose inputs are then among the others; those of attention begin with ``ATTENTION``.
    """
    added = None if pooled is None else {"text_embeds": pooled, "time_ids": time_ids}
    attention = {name.removeprefix(ATTENTION): each for name, each in others.items() if name.startswith(ATTENTION)}
    guide = {name: each for name, each in others.items() if not name.startswith(ATTENTION)}
    common = {"sample": sample, "timesteps": timesteps, "prompt": prompt, "added": added}
    kept = {} if control is None else residuals(control, **common, **guide)
    output: torch.Tensor = checkpoint.unet(
        sample,
        timesteps,
        encoder_hidden_states=prompt,
        added_cond_kwargs=added,
        cross_attention_kwargs=attention or None,
        return_dict=False,
        **kept,
    )[0]
    return output


def call_of(row: Row) -> partial[torch.Tensor]:
    """Return ``evaluate`` with the networks that this row and all of its group want."""
    return partial(evaluate, row.checkpoint, None if row.guide is None else row.guide.network)


def batch(shape: ShapeClass, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Lay rows out for ``evaluate``: slots × n of them, all unconditional ones first, empty slots zero."""
    halves = 2 if shape.guided else 1
    latents = _padded([row.latent.to(row.checkpoint.dtype) for row in rows], shape.slots)
    inputs = {
        "sample": torch.cat([latents] * halves),
        "timesteps": torch.cat([_padded([row.timestep for row in rows], shape.slots)] * halves),
        "prompt": _halved([row.prompt for row in rows], shape.slots),
    }
    for name in ("pooled", "time_ids"):
        if present := [each for row in rows if (each := getattr(row, name)) is not None]:
            inputs[name] = _halved(present, shape.slots)
    return inputs | _references(shape, rows) | _guides(shape, rows)


def shares(output: torch.Tensor, shape: ShapeClass, slot: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a slot got: unconditional and conditional output, float32 (1, C, h, w), copied.

    Without guidance both are the same.
    """
    conditional = slot + (shape.slots if shape.guided else 0)
    mine = output[conditional : conditional + 1].to(torch.float32, copy=True)
    return (output[slot : slot + 1].to(torch.float32, copy=True) if shape.guided else mine), mine


def _references(shape: ShapeClass, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    if shape.reference_slots == 0:
        return {}
    size = rows[0].latent.shape[-2:]
    told = Identity.batch([row.identity for row in rows], shape.slots, shape.guided, *size)
    return {ATTENTION + name: each for name, each in told.items()}


def _guides(shape: ShapeClass, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    if not shape.control:
        return {}
    return Guide.batch([row.guide for row in rows], shape.slots, shape.guided, *rows[0].latent.shape[-2:])


def _padded(tensors: Sequence[torch.Tensor], slots: int) -> torch.Tensor:
    return torch.cat([*tensors, *[torch.zeros_like(tensors[0])] * (slots - len(tensors))])


def _halved(tensors: Sequence[torch.Tensor], slots: int) -> torch.Tensor:
    """Tensors (n, ...) of each slot as one (n * slots, ...), the first halves first."""
    stacked = torch.stack([*tensors, *[torch.zeros_like(tensors[0])] * (slots - len(tensors))], dim=1)
    return stacked.flatten(0, 1)
