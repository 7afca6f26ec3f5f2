import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.checkpoint import Checkpoint
from engine.device import CpuDevice
from engine.door import Engine, Ticket
from engine.drawing.drawer import Drawer
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.preparation import Prepared, shape_class
from engine.request import RenderRequest
from engine.text import tokenise
from engine.text.sources import facts_of
from engine.work import Picture

LONG_S = 60.0
PICTURES = ("image", "mask", "layout_picture", "references_shown", "reference_masks")


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.pictures: list[np.ndarray] = []
        self.error: Exception | None = None

    def progress(self, step: int, steps: int, preview_jpeg: bytes) -> None: ...

    def picture(self, picture: Picture, manifest_json: bytes) -> None:
        self.pictures.append(picture.pixels)

    def failed(self, error: Exception) -> None:
        self.error = error
        self.ended.set()

    def finished(self) -> None:
        self.ended.set()


class Inline:
    """Workers that are this thread."""

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def close(self) -> None: ...


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


@pytest.fixture
def serve() -> Iterator[Callable[..., Engine]]:
    """Makes an engine that draws what is ``prepared`` already: ``serve(drawer, limits=...)``."""
    made: list[Engine] = []

    def make(drawer: Drawer, **settings: Any) -> Engine:
        usual = {"free_bytes": lambda: 1 << 40, "facts": {}, "describe": lambda *_: b""}
        made.append(Engine(lambda: drawer, lambda raw: raw.prepared, Inline(), **usual | settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Submitting:
    """Hands a request in: ``submit(engine, prepared(...))`` gives its ticket, and what hears of it."""

    def __call__(self, engine: Engine, prepared: Prepared) -> tuple[Ticket, Ears]:
        ears = Ears()
        return engine.submit(prepared.request.id, self._raw(prepared=prepared), ears), ears

    def settle(self, engine: Engine) -> None:
        """Return when the device's thread will take in, before its next unit, all that was handed in before."""
        ears = Ears()
        engine.submit("unprepared", self._raw(), ears, priority=0)  # the least urgent is prepared last
        assert ears.ended.wait(LONG_S)

    @staticmethod
    def _raw(**more: Any) -> Any:
        pictures = {"image": None, "mask": None, "layout": None, "references": [], "reference_masks": []}
        return SimpleNamespace(spec=b"", **pictures, **more)


@pytest.fixture
def submit() -> Submitting:
    return Submitting()
