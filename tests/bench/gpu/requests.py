"""Requests without words or files: what the engine draws in these benchmarks, and the studio that it draws in."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.checkpoint import Checkpoint
from engine.drawing.drawer import Drawer
from engine.kernels.port import Kernels
from engine.models.entry import Entry
from engine.models.line import Line, Place
from engine.preparation import Prepared
from engine.request import RenderRequest
from engine.shapes import SHARING, ShapeClass
from engine.text.chunks import Chunk
from engine.text.tokens import Budget, TokenisedPrompt, TokenReport

WORDS = 40
BEGIN, END, VOCABULARY = 49_406, 49_407, 49_000


class OneModel:
    """Models and catalogue that know one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def checkpoint(self, name: str) -> Checkpoint:
        return self._checkpoint

    @property
    def loaded(self) -> list[str]:
        return ["random-sdxl"]

    @property
    def underway(self) -> list[str]:
        return []

    def queue(self, entries: Iterable[Entry], priority: int) -> Place:
        return Line(held=dict, budget_bytes=lambda: 0).enter({}, priority)

    def open(self, name: str) -> Checkpoint:
        return self._checkpoint

    def has(self, checkpoint: Checkpoint) -> bool:
        return checkpoint is self._checkpoint

    def release(self, name: str) -> None:
        pass

    def give_up(self) -> None:
        pass

    def entry(self, name: str, kind: str | None = None) -> Entry:
        return Entry(name, "checkpoint", "sdxl", "none", True, Path())

    def entries(self, kind: str | None = None) -> list[Entry]:
        return []


def drawer(checkpoint: Checkpoint, device: Any, kernels: Kernels | None = None) -> Drawer:
    """Return the engine's executor for this checkpoint alone."""
    model = OneModel(checkpoint)
    return Drawer(model, model, device, kernels)


def prepared(
    side_px: int, steps: int, seed: int = 0, guidance: float = 7.5, sampler: str = "euler", preview_every: int = 0,
    width_px: int | None = None, sharing: int = SHARING,
) -> Prepared:  # fmt: skip
    """Return a request for a picture, square unless told, with a prompt of random words that follow from its seed."""
    width_px = width_px or side_px
    request = RenderRequest(
        id=f"bench-{seed}", checkpoint="random-sdxl", prompt=f"random words {seed}", negative="random words", seed=seed,
        steps=steps, guidance=guidance, width_px=width_px, height_px=side_px, sampler=sampler, schedule="normal",
        preview_every=preview_every,
    )  # fmt: skip
    shape = ShapeClass("sdxl", width_px, side_px, guided=guidance > 1, chunks=1, sharing=sharing)
    return Prepared(request=request, tokens=tokens(seed), shape=shape)


def tokens(seed: int) -> TokenisedPrompt:
    """Return a prompt and a negative prompt of forty random words each, for both encoders."""
    draw = random.Random(seed)
    positive, negative = (_chunk(draw), _chunk(draw))
    budget = Budget(WORDS, 1, 0)
    return TokenisedPrompt(((positive,),) * 2, ((negative,),) * 2, 1, TokenReport(budget, budget), False)


def _chunk(draw: random.Random) -> Chunk:
    ids = [BEGIN, *(draw.randrange(VOCABULARY) for _ in range(WORDS)), *[END] * (76 - WORDS)]
    return Chunk(tuple(ids), (1.0,) * 77)
