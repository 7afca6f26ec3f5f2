from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models.entry import Entry, file_sha256
from engine.models.tiny.adapters import make_tiny_image_encoder, make_tiny_ip_adapter

FILE = "ip-adapter-plus-face_sdxl_vit-h.safetensors"


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny adapters and the image encoder of both. Not to be written to."""
    folder = tmp_path_factory.mktemp("adapters")
    make_tiny_ip_adapter(folder / "face" / FILE)
    make_tiny_ip_adapter(folder / "plus" / FILE, seed=5)
    make_tiny_image_encoder(folder / "encoder")
    return folder


@pytest.fixture
def shelf(adapter_folder: Path, shelved: Any) -> Any:
    def entry(name: str, kind: str) -> Entry:
        folder = adapter_folder / name
        files = {path.name: file_sha256(path) for path in folder.glob("*")}
        return Entry(name, kind, "sdxl", "apache-2.0", True, folder, files)

    return shelved(entry("face", "ip-adapter"), entry("plus", "ip-adapter"), entry("encoder", "image-encoder"))


@pytest.fixture
def people() -> Sequence[np.ndarray]:
    """Three pictures of different sizes and colours."""
    dice = np.random.default_rng(4)
    sizes = ((90, 60), (64, 64), (50, 120))
    return [
        np.clip(dice.integers(0, 90, 3) + dice.integers(0, 120, (*size, 3)), 0, 255).astype(np.uint8) for size in sizes
    ]


@pytest.fixture
def halves() -> Sequence[np.ndarray]:
    """Two masks of 256 x 256: the left part, and what is right of it."""
    left = np.zeros((256, 256), np.uint8)
    left[:, :110] = 255
    return [left, 255 - left]
