"""What is drawn with is what was installed, to the byte, and its hash says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.embeddings import embeddings_of
from engine.errors import ModelUnusable
from engine.models import verification
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry, decides, file_sha256, sha256_of
from engine.models.loading import load
from engine.models.tiny.everything import TINY
from engine.models.verification import verified
from engine.request import RenderRequest
from engine.variants.lora import changes_of

CONFIGURATIONS = (
    "scheduler/scheduler_config.json",
    "vae/config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/tokenizer_config.json",
)


@pytest.fixture
def own(tiny_catalogue: Catalogue, tmp_path: Path) -> Catalogue:
    """Small models of each kind that a test may spoil."""
    shutil.copytree(tiny_catalogue.folder, tmp_path / "own")
    return Catalogue(tmp_path / "own")


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize("file", CONFIGURATIONS)
def test_another_configuration_is_another_model(tiny_folder: Path, tmp_path: Path, file: str) -> None:
    shutil.copytree(tiny_folder, tmp_path / "other")
    spoil(tmp_path / "other" / file)
    first, second = (
        adopt(tmp_path / "models", folder, folder.name, Terms()) for folder in (tiny_folder, tmp_path / "other")
    )
    assert sha256_of(first.files) != sha256_of(second.files)
    assert load(second, "cpu", torch.float32).sha256 == sha256_of(second.files)


@pytest.mark.parametrize("file", ["README.md", "readme.txt", "LICENSE.txt", "vae/README.txt", "picture.png", "run.py"])
def test_what_is_for_people_is_no_part_of_a_model(tiny_catalogue: Catalogue, file: str) -> None:
    files = dict(tiny_catalogue.entry("sdxl-tiny").files)
    assert sha256_of(files | {file: "0" * 64}) == sha256_of(files)


@pytest.mark.parametrize("name", TINY)
def test_a_file_of_any_kind_of_model_that_was_replaced_is_refused(own: Catalogue, name: str) -> None:
    entry = own.entry(name)
    for file in filter(decides, entry.files):
        before = (entry.path / file).read_bytes()
        spoil(entry.path / file)
        with pytest.raises(ModelUnusable, match="is not what was installed"):
            verified(entry)
        (entry.path / file).write_bytes(before)
    assert verified(entry) == entry.files


@pytest.mark.parametrize(
    "file", ["unet/diffusion_pytorch_model-00001-of-00001.safetensors", "tokenizer/added_tokens.json"]
)
def test_a_file_that_was_put_beside_the_installed_ones_is_refused(own: Catalogue, file: str) -> None:
    entry = own.entry("sdxl-tiny")
    (entry.path / "README.txt").write_text("words")
    verified(entry)
    shutil.copy(entry.path / "model_index.json", entry.path / file)
    with pytest.raises(ModelUnusable, match="put there after the installation"):
        load(entry, "cpu", torch.float32)


def test_only_the_asked_for_parts_are_read(own: Catalogue) -> None:
    entry = own.entry("sdxl-tiny")
    spoil(entry.path / "unet" / "config.json")
    assert {name.partition("/")[0] for name in verified(entry, "tokenizer/", "vae/")} == {"tokenizer", "vae"}


def test_a_file_is_hashed_once_for_each_version_of_it(own: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(path: Path, moved: Callable[[], None]) -> str:
        hashed.append(path.name)
        return file_sha256(path, moved)

    monkeypatch.setattr(verification, "file_sha256", counted)
    entry = own.entry("tiny-lora")
    for _ in range(3):
        verified(entry)
    assert hashed == ["lora.safetensors"]
    spoil(entry.path / "lora.safetensors")
    with pytest.raises(ModelUnusable):
        verified(entry)
    assert len(hashed) == 2


def test_a_file_that_cannot_be_read_is_named(own: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: Path, _moved: Callable[[], None]) -> str:
        raise PermissionError(13, "no", str(path))

    monkeypatch.setattr(verification, "file_sha256", refusing)
    with pytest.raises(ModelUnusable) as caught:
        verified(own.entry("tiny-lora"))
    assert str(caught.value) == "model 'tiny-lora' cannot be used: lora.safetensors cannot be read: no"


def test_without_a_statement_all_that_decide_are_hashed(own: Catalogue) -> None:
    entry = own.entry("sdxl-tiny")
    assert verified(replace(entry, files={})) == {name: each for name, each in entry.files.items() if decides(name)}


def test_a_replaced_lora_is_not_merged(own: Catalogue) -> None:
    checkpoint, entry = load(own.entry("sdxl-tiny"), "cpu", torch.float32), own.entry("tiny-lora")
    assert changes_of(entry, checkpoint)
    replaced(entry, "lora.safetensors")
    with pytest.raises(ModelUnusable, match=r"lora\.safetensors is not what was installed"):
        changes_of(entry, checkpoint)


def test_a_replaced_embedding_is_not_drawn(own: Catalogue) -> None:
    checkpoint = load(own.entry("sdxl-tiny"), "cpu", torch.float32)
    request = RenderRequest("job", "sdxl-tiny", "tiny-embedding")
    assert embeddings_of(["tiny-embedding"], checkpoint, own, request)
    replaced(own.entry("tiny-embedding"), "embedding.safetensors")
    with pytest.raises(ModelUnusable, match=r"embedding\.safetensors is not what was installed"):
        embeddings_of(["tiny-embedding"], checkpoint, own, request)


def test_a_folder_of_a_model_is_verified_as_a_model_of_its_own(own: Catalogue) -> None:
    inner = own.entry("sdxl-tiny").within("vae")
    assert set(verified(inner)) == {"config.json", "diffusion_pytorch_model.safetensors"}
    replaced(inner, "config.json")
    with pytest.raises(ModelUnusable, match=r"'sdxl-tiny/vae'.*config\.json is not what was installed"):
        verified(inner)


def replaced(entry: Entry, file: str) -> None:
    """Change one number and leave a whole file."""
    path = entry.path / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
