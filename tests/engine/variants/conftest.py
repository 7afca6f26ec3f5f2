import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.checkpoint import Checkpoint
from engine.errors import Refused
from engine.models.entry import Entry, file_sha256

RANK = 4


class Shelf:
    """A catalogue whose LoRAs are made of the tensors that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._entries = folder, dict[str, Entry]()

    def add(self, name: str, tensors: Mapping[str, torch.Tensor], words: dict[str, str] | None = None) -> Path:
        folder = self._folder / name
        folder.mkdir()
        path = folder / f"{name}.safetensors"
        save_file({key: each.contiguous() for key, each in tensors.items()}, path, words)
        self.put(Entry(name, "lora", "sdxl", "openrail++", True, folder, {path.name: file_sha256(path)}))
        return path

    def put(self, entry: Entry) -> None:
        self._entries[entry.name] = entry

    def entry(self, name: str, kind: str | None = None) -> Entry:
        if name not in self._entries:
            raise Refused("loras", name, "it is not in the catalogue")
        return self._entries[name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        return [each for each in self._entries.values() if kind in (None, each.kind)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def checkpoint(tiny: Checkpoint) -> Checkpoint:
    """A tiny checkpoint that this test may change."""
    return copy.deepcopy(tiny)


@pytest.fixture
def halves() -> Callable[..., dict[str, torch.Tensor]]:
    """Makes the two matrices of a LoRA for a weight of a shape, the same ones for the same seed."""

    def made(shape: torch.Size, seed: int = 0) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        ends = (1,) * (len(shape) - 2)
        down = torch.randn((RANK, *shape[1:]), generator=generator) / 10
        return {"down": down, "up": torch.randn((shape[0], RANK, *ends), generator=generator)}

    return made


def weights_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return every parameter of what LoRAs change, copied."""
    networks = {"unet": checkpoint.unet, "1": checkpoint.text_encoders[0], "2": checkpoint.text_encoders[1]}
    return {
        f"{name}.{path}": weight.detach().clone()
        for name, network in networks.items()
        for path, weight in network.named_parameters()
    }


@pytest.fixture
def snapshot() -> Callable[[Checkpoint], dict[str, torch.Tensor]]:
    return weights_of
