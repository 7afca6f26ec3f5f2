import copy
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from engine.checkpoint import Checkpoint
from engine.errors import Refused
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from engine.models.loading import load
from engine.models.tiny.everything import make_tiny_catalogue
from engine.models.tiny.sdxl import make_tiny

torch.set_num_threads(1)


class Shelf:
    """A catalogue of the entries that a test puts there."""

    def __init__(self, *entries: Entry) -> None:
        self.held = {each.name: each for each in entries}

    def entry(self, name: str, kind: str | None = None) -> Entry:
        if name not in self.held:
            raise Refused("model", name, "it is not in the catalogue")
        return self.held[name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        return [each for each in self.held.values() if kind in (None, each.kind)]


@pytest.fixture(scope="session")
def shelved() -> type[Shelf]:
    """Makes a catalogue: ``shelved(*entries)``."""
    return Shelf


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated tiny SDXL in diffusers' layout. Not to be written to."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Checkpoint:
    """The same, loaded on the CPU in float32. Not to be changed: copy it first (``copy.deepcopy``)."""
    entry = Entry("tiny", "checkpoint", "sdxl", "none", commercial=True, path=tiny_folder)
    return load(entry, torch.device("cpu"), torch.float32)


@pytest.fixture
def checkpoint(tiny: Checkpoint) -> Checkpoint:
    """The tiny checkpoint with a denoiser of its own, so that a test may install attention there."""
    return replace(tiny, unet=copy.deepcopy(tiny.unet))


@pytest.fixture(scope="session")
def tiny_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """One small model of each kind, by the names of ``engine.models.tiny.everything``. Not to be written to."""
    folder = tmp_path_factory.mktemp("catalogue")
    make_tiny_catalogue(folder)
    return Catalogue(folder)
