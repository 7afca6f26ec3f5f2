from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models.entry import Entry, file_sha256
from engine.models.tiny.adapters import make_tiny_controlnet


@pytest.fixture(scope="session")
def network_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ControlNet. Not to be written to."""
    folder = tmp_path_factory.mktemp("control") / "canny"
    make_tiny_controlnet(folder)
    return folder


@pytest.fixture
def shelf(network_folder: Path, shelved: Any) -> Any:
    files = {path.name: file_sha256(path) for path in network_folder.glob("*")}
    entry = Entry("canny", "controlnet", "sdxl", "openrail++", True, network_folder, files)
    return shelved(entry, replace(entry, name="depth"))


@pytest.fixture
def frame() -> np.ndarray:
    """A layout: a bright figure on dark ground, of another size than what is drawn."""
    drawn = np.full((180, 320, 3), 40, np.uint8)
    drawn[60:170, 90:150] = (220, 180, 160)
    return drawn
