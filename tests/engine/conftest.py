import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

from engine.checkpoint import Checkpoint
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from engine.models.loading import load
from engine.models.tiny.everything import make_tiny_catalogue
from engine.models.tiny.sdxl import make_tiny

torch.set_num_threads(1)


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


@pytest.fixture(scope="session")
def tiny_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """One small model of each kind, by the names of ``engine.models.tiny.everything``. Not to be written to."""
    folder = tmp_path_factory.mktemp("catalogue")
    make_tiny_catalogue(folder)
    return Catalogue(folder)
