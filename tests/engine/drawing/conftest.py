from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engine.checkpoint import Checkpoint
from engine.device import CpuDevice
from engine.drawing.drawer import Drawer
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.preparation import Prepared, shape_class
from engine.request import RenderRequest
from engine.text import tokenise
from engine.text.sources import facts_of

PICTURES = ("image", "mask", "layout_picture", "references_shown", "reference_masks")


@pytest.fixture(scope="session")
def models(tiny_catalogue: Catalogue) -> Models:
    """With the checkpoint in memory that requests ask for, so that loading it is one unit."""
    made = Models(tiny_catalogue, torch.device("cpu"), torch.float32, budget_bytes=1 << 30)
    made.checkpoint("sdxl-tiny")
    return made


@pytest.fixture
def drawer(models: Models) -> Drawer:
    return Drawer(models, models.catalogue, CpuDevice(threads=1))


@pytest.fixture
def prepared(tiny: Checkpoint, tiny_catalogue: Catalogue) -> Callable[..., Prepared]:
    """Makes what a worker process makes of a request: ``prepared(prompt=..., image=...)``.

    It is drawn at half the size, to be quick. ``layout_picture`` and ``references_shown`` are the pictures of
    ``layout`` and ``references``.
    """

    def make(**asked: Any) -> Prepared:
        shown = {name: asked.pop(name) for name in PICTURES if name in asked}
        pictures = {
            {"layout_picture": "layout", "references_shown": "references"}.get(k, k): v for k, v in shown.items()
        }
        told = {"id": "r", "checkpoint": "sdxl-tiny", "prompt": "a lighthouse", "steps": 3, "sampler": "euler"}
        told |= {"schedule": "normal", "width_px": 256, "height_px": 144, "preview_every": 0}
        told |= {"has_image": "image" in pictures, "has_mask": "mask" in pictures}
        request = RenderRequest(**told | asked)
        facts = facts_of(tiny_catalogue.folder, "sdxl-tiny", request.prompt)
        tokens = tokenise(request.prompt, request.negative, tiny.tokenizers, facts.triggers)
        shape = shape_class(request, facts, tokens.chunks)
        half = {side: getattr(shape, side) // 64 * 32 for side in ("width_px", "height_px")}
        return Prepared(**pictures, request=request, tokens=tokens, shape=replace(shape, **half))

    return make


@pytest.fixture
def photograph() -> np.ndarray:
    """Something with edges, RGB uint8 (150, 260, 3)."""
    rough = np.random.default_rng(5).integers(0, 256, (10, 16, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(rough, np.ones((15, 17, 1), np.uint8))[:, :260])
