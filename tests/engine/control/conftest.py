import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.checkpoint import Checkpoint
from engine.errors import Refused
from engine.models.entry import Entry, file_sha256
from engine.models.tiny.adapters import make_tiny_controlnet


class Shelf:
    """A catalogue of the entries that a test puts there."""

    def __init__(self, *entries: Entry) -> None:
        self.held = {each.name: each for each in entries}

    def entry(self, name: str) -> Entry:
        if name not in self.held:
            raise Refused("model", name, "it is not in the catalogue")
        return self.held[name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        return [each for each in self.held.values() if kind in (None, each.kind)]


@pytest.fixture(scope="session")
def network_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ControlNet. Not to be written to."""
    folder = tmp_path_factory.mktemp("control") / "canny"
    make_tiny_controlnet(folder)
    return folder


@pytest.fixture
def shelf(network_folder: Path) -> Shelf:
    files = {path.name: file_sha256(path) for path in network_folder.glob("*")}
    entry = Entry("canny", "controlnet", "sdxl", "openrail++", True, network_folder, files)
    return Shelf(entry, replace(entry, name="depth"))


@pytest.fixture
def checkpoint(tiny: Checkpoint) -> Checkpoint:
    """The tiny checkpoint with a denoiser of its own."""
    return replace(tiny, unet=copy.deepcopy(tiny.unet))


@pytest.fixture
def frame() -> np.ndarray:
    """A layout: a bright figure on dark ground, of another size than what is drawn."""
    drawn = np.full((180, 320, 3), 40, np.uint8)
    drawn[60:170, 90:150] = (220, 180, 160)
    return drawn
