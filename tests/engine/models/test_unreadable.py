"""A file that is not there is missing, whoever finds that out, and nobody is told where the server keeps it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine.errors import ModelUnusable
from engine.identity.encoder import load_encoder
from engine.models import tokenizers
from engine.models.catalogue import Catalogue, entry_of
from engine.models.entry import Entry
from engine.models.files import WeightFile
from engine.models.memory import Models
from engine.models.networks import configuration
from engine.models.reader import Reader
from engine.models.verification import require_present, verified
from engine.models.weights import described, parameters, read

UNET = "unet/diffusion_pytorch_model.safetensors"
LONG_S = 30.0


@pytest.fixture
def entry(tiny_catalogue: Catalogue, tmp_path: Path) -> Entry:
    """A model that a test may spoil."""
    shutil.copytree(tiny_catalogue.folder / "sdxl-tiny", tmp_path / "models" / "own")
    return entry_of(tmp_path / "models" / "own")


def read_ahead(entry: Entry) -> None:
    reader = Reader(entry, [UNET], is_pinned=False)
    try:
        reader.tensors.result(LONG_S)
    finally:
        reader.close()


WAYS: dict[str, tuple[str, Callable[[Entry], object]]] = {
    "it is looked for": (UNET, require_present),
    "it is hashed": (UNET, verified),
    "it is read ahead": (UNET, read_ahead),
    "its header is read": (UNET, lambda entry: parameters(entry.name, entry.path / UNET)),
    "its tensors are listed": (UNET, lambda entry: described(entry.name, entry.path / UNET)),
    "it is read at once": (UNET, lambda entry: read(entry.name, [entry.path / UNET])),
    "it is a configuration": ("vae/config.json", lambda entry: configuration(entry.name, entry.path / "vae")),
    "it says what the model is": ("model.json", lambda entry: entry_of(entry.path)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_gone_is_missing(entry: Entry, way: str) -> None:
    file, look = WAYS[way]
    (entry.path / file).unlink()
    with pytest.raises(ModelUnusable) as caught:
        look(entry)
    assert str(caught.value) == f"model 'own' cannot be used: {file} is missing"


@pytest.mark.parametrize("way", [each for each in WAYS if each != "it is looked for"])
def test_a_file_that_cannot_be_read_is_named_as_it_lies_in_the_model(entry: Entry, way: str) -> None:
    file, look = WAYS[way]
    (entry.path / file).unlink()
    (entry.path / file).mkdir()
    with pytest.raises(ModelUnusable, match=rf"^model 'own' cannot be used: {file} cannot be read") as caught:
        look(entry)
    assert str(entry.path.parent) not in str(caught.value)


def test_a_disk_that_fails_is_told_with_the_file_that_it_failed_at(entry: Entry) -> None:
    def failing(_descriptor: int, _views: object, _place: int) -> int:
        raise OSError(5, os.strerror(5))

    with pytest.raises(ModelUnusable, match=rf": {UNET} cannot be read: Input/output error$"):
        WeightFile(entry, UNET, failing, lambda: False)


@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_checkpoint_that_lacks_a_file_is_refused_in_the_same_words_each_time(
    entry: Entry, loaded_before: bool
) -> None:
    models = Models(Catalogue(entry.path.parent), "cpu", torch.float32, 1 << 30)
    if loaded_before:
        models.checkpoint("own")
        models.drop("own")
    (entry.path / UNET).unlink()
    for _ in range(2):
        with pytest.raises(ModelUnusable) as caught:
            models.checkpoint("own")
        assert caught.value.reason == f"{UNET} is missing"


def test_what_a_library_says_of_a_folder_is_told_without_its_place(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(folder: Path, **_: object) -> None:
        raise OSError(f"Can't load tokenizer for '{folder}'")

    monkeypatch.setattr(tokenizers.CLIPTokenizer, "from_pretrained", failing)
    with pytest.raises(ModelUnusable) as caught:
        tokenizers.Tokenizers(entry)[0]
    assert caught.value.reason == "tokenizer cannot be read: Can't load tokenizer for 'tokenizer'"


def test_an_image_encoder_without_settings_is_told_without_its_place(
    tiny_catalogue: Catalogue, tmp_path: Path, tiny: object
) -> None:
    shutil.copytree(tiny_catalogue.folder / "tiny-image-encoder", tmp_path / "models" / "eye")
    (tmp_path / "models" / "eye" / "config.json").unlink()
    with pytest.raises(ModelUnusable) as caught:
        load_encoder("eye", tmp_path / "models" / "eye", tiny)
    assert str(tmp_path) not in str(caught.value)
