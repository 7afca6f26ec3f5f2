"""What is installed can be found by name, what is not is refused with the nearest, and nothing leads outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import ModelUnusable, Refused
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import ABOUT, Catalogue
from engine.models.entry import file_sha256
from engine.models.tiny.adapters import make_tiny_embedding
from engine.models.tiny.everything import TINY, make_tiny_model
from engine.models.tiny.lora import make_tiny_lora
from engine.models.verification import verified

SAID = {"kind": "lora", "architecture": "sdxl", "licence": "MIT", "commercial": True, "files": {}}


def said(folder: Path, name: str, **changes: Any) -> Catalogue:
    """Install a model that consists of its ``model.json``."""
    (folder / name).mkdir(parents=True)
    (folder / name / ABOUT).write_text(json.dumps({**SAID, **changes}))
    return Catalogue(folder)


def test_models_are_listed_by_name_and_by_kind(tmp_path: Path) -> None:
    said(tmp_path, "b")
    said(tmp_path, "a", kind="embedding")
    catalogue = Catalogue(tmp_path)
    assert [each.name for each in catalogue.entries()] == ["a", "b"]
    assert [each.name for each in catalogue.entries("lora")] == ["b"]
    assert Catalogue(tmp_path / "none").entries() == []


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said(tmp_path, "sdxl-turbo")
    catalogue = said(tmp_path, "film-noir")
    with pytest.raises(Refused, match="did you mean 'sdxl-turbo'") as caught:
        catalogue.entry("sdxl-trubo")
    assert (caught.value.field, caught.value.value) == ("model", "sdxl-trubo")
    with pytest.raises(Refused, match="continuity models pull sdxl"):
        Catalogue(tmp_path / "none").entry("sdxl")


def refusal(catalogue: Catalogue, name: str, kind: str) -> str:
    with pytest.raises(Refused) as caught:
        catalogue.entry(name, kind)
    return str(caught.value)


def test_only_a_near_name_of_the_kind_that_is_wanted_is_suggested(tmp_path: Path) -> None:
    said(tmp_path, "tiny-lora")
    said(tmp_path, "grain")
    catalogue = said(tmp_path, "tiny-loraa-xl", kind="checkpoint")
    near = refusal(catalogue, "Tiny-Loraa", "lora")
    assert near == (
        "loras: 'Tiny-Loraa' is not acceptable; did you mean 'tiny-lora'? installed of kind lora: grain, tiny-lora"
    )
    assert refusal(catalogue, "nope", "lora").endswith("acceptable; installed of kind lora: grain, tiny-lora")
    assert refusal(catalogue, "canny", "controlnet") == "layout: 'canny' is not acceptable; no controlnet is installed"
    assert refusal(catalogue, "face", "ip-adapter").startswith("references: 'face'")


def test_what_can_be_pulled_is_not_mistaken_for_what_is_installed(tmp_path: Path) -> None:
    catalogue = said(tmp_path, "sdxl-tiny", kind="checkpoint")
    wanted = refusal(catalogue, "sdxl", "checkpoint")
    assert wanted.startswith("checkpoint: 'sdxl' is not acceptable; `continuity models pull sdxl` installs it; ")
    assert wanted.endswith("installed of kind checkpoint: sdxl-tiny")
    assert "`continuity models pull sdxl-refiner` installs it" in refusal(catalogue, "sdxl-refiner", "refiner")
    assert "`continuity models pull sdxl-refiner` installs one" in refusal(catalogue, "mine", "refiner")
    assert "pull" not in refusal(catalogue, "sdxl", "lora")


@pytest.mark.parametrize("name", ["../a", "", ".", "..", "a/b", "/etc", "a\0b", ".hidden", "x" * 65])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    said(tmp_path, "a")
    catalogue = said(tmp_path / "inner", "b")
    with pytest.raises(Refused):
        catalogue.entry(name)
    with pytest.raises(Refused):
        adopt(tmp_path, tmp_path / "a", name, Terms())


@pytest.mark.parametrize("file", ["../outside", "/etc/passwd", "link/secret", "linked"])
def test_files_outside_the_models_folder_are_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("x")
    catalogue = said(tmp_path / "models", "a", files={file: "0" * 64})
    (tmp_path / "models" / "a" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "models" / "a" / "linked").symlink_to(tmp_path / "elsewhere" / "secret")
    with pytest.raises(ModelUnusable, match="outside its folder"):
        catalogue.entry("a")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", json.dumps({**SAID, "kind": "virus"}), json.dumps({**SAID, "licence": 3})]
)
def test_a_damaged_model_is_told_of_and_does_not_hide_the_others(tmp_path: Path, content: str) -> None:
    catalogue = said(tmp_path, "a")
    said(tmp_path, "b")
    (tmp_path / "a" / ABOUT).write_text(content)
    assert [each.name for each in catalogue.entries()] == ["b"]
    assert [each.name for each in catalogue.damaged()] == ["a"]
    with pytest.raises(ModelUnusable):
        catalogue.entry("a")


def test_commercial_use_is_what_is_stated_and_nothing_that_only_looks_like_it(tmp_path: Path) -> None:
    said(tmp_path, "a", commercial="true")
    assert not said(tmp_path, "b", commercial=1).entry("b").commercial
    assert not Catalogue(tmp_path).entry("a").commercial


def test_tokenizers_are_found_in_the_order_of_the_encoders(tiny_catalogue: Catalogue) -> None:
    names = [each.name for each in tiny_catalogue.tokenizer_folders("sdxl-tiny")]
    assert names == ["tokenizer", "tokenizer_2"]
    assert [each.name for each in tiny_catalogue.tokenizer_folders("tiny-refiner")] == ["tokenizer_2"]


def test_an_adopted_model_is_verified_and_every_changed_byte_is_found(tmp_path: Path, tiny_folder: Path) -> None:
    entry = adopt(tmp_path, tiny_folder, "own", Terms("MIT", commercial=True))
    assert (entry.kind, entry.architecture, entry.licence, entry.commercial) == ("checkpoint", "sdxl", "MIT", True)
    assert Catalogue(tmp_path).entry("own") == entry
    verified(entry)
    settings = entry.path / "unet" / "config.json"
    settings.unlink()
    settings.write_bytes((tiny_folder / "unet" / "config.json").read_bytes() + b" ")
    with pytest.raises(ModelUnusable, match=r"unet/config\.json is not what was installed"):
        verified(entry)


def test_adopting_costs_no_second_copy_and_leaves_the_source(tmp_path: Path) -> None:
    make_tiny_embedding(tmp_path / "person.safetensors")
    entry = adopt(tmp_path / "models", tmp_path / "person.safetensors", "person", Terms())
    assert (tmp_path / "person.safetensors").samefile(entry.path / "person.safetensors")
    assert entry.files == {"person.safetensors": file_sha256(tmp_path / "person.safetensors")}
    assert not entry.commercial


def test_a_link_in_a_downloads_cache_is_followed_once(tmp_path: Path) -> None:
    make_tiny_embedding(tmp_path / "blob.safetensors")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "person.safetensors").symlink_to(tmp_path / "blob.safetensors")
    entry = adopt(tmp_path / "models", tmp_path / "cache" / "person.safetensors", "person", Terms())
    assert not (entry.path / "person.safetensors").is_symlink()


def test_what_cannot_be_adopted_leaves_nothing_behind(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    save_file({"strange": torch.zeros(1)}, tmp_path / "strange.safetensors")
    (tmp_path / "old.ckpt").write_bytes(b"\x80\x04pickled")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for file, reason in (
        ("strange.safetensors", "no architecture"),
        ("old.ckpt", "pickle"),
        ("cut.safetensors", "damaged"),
    ):
        with pytest.raises(ModelUnusable, match=reason):
            adopt(models, tmp_path / file, "own", Terms())
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a text", "damaged or no safetensors file at all: it does not begin as one"),
        (b"\x80\x04" + b"pickled" * 9, "it begins as a pickle does"),
        (b"PK\x03\x04" + b"zipped" * 9, "it begins as a PyTorch pickle does"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it begins as a Git LFS pointer does"),
        (b"\x10\0\0\0\0\0\0\0{", r"is damaged: .*header"),
    ],
)
def test_what_was_only_renamed_to_safetensors_is_told_from_what_is_damaged(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "own.safetensors").write_bytes(content)
    with pytest.raises(ModelUnusable, match=reason):
        adopt(tmp_path / "models", tmp_path / "own.safetensors", "own", Terms())


@pytest.mark.parametrize("kind", TINY)
def test_the_folder_of_an_installed_model_is_adopted_with_its_terms(
    tmp_path: Path, tiny_catalogue: Catalogue, kind: str
) -> None:
    source = tiny_catalogue.entry(kind)
    entry = adopt(tmp_path, source.path, "own", Terms())
    assert (entry.kind, entry.architecture, entry.files) == (source.kind, source.architecture, source.files)
    assert (entry.licence, entry.commercial) == ("Apache-2.0", True)


def test_stated_terms_count_more_than_those_in_the_folder(tmp_path: Path, tiny_catalogue: Catalogue) -> None:
    entry = adopt(tmp_path, tiny_catalogue.entry("tiny-lora").path, "own", Terms("CC BY-NC 4.0"))
    assert (entry.licence, entry.commercial) == ("CC BY-NC 4.0", False)


def test_terms_hold_for_the_files_that_they_were_stated_for(tmp_path: Path) -> None:
    source = make_tiny_model(tmp_path / "source", "tiny-embedding").path
    make_tiny_lora(tmp_path / "lora.safetensors")
    (tmp_path / "lora.safetensors").replace(source / "embedding.safetensors")
    with pytest.raises(ModelUnusable, match="is not what was installed"):
        adopt(tmp_path / "models", source, "own", Terms())
    assert adopt(tmp_path / "models", source, "own", Terms("MIT")).kind == "lora"


@pytest.mark.parametrize("content", ["{}", "[]", "no json", json.dumps({**SAID, "commercial": "yes", "kind": "?"})])
def test_a_model_json_of_another_program_states_nothing(tmp_path: Path, content: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    make_tiny_embedding(source / "person.safetensors")
    (source / ABOUT).write_text(content)
    entry = adopt(tmp_path / "models", source, "own", Terms())
    assert (entry.licence, entry.commercial) == ("unknown", False)
    assert list(entry.files) == ["person.safetensors"]


def test_a_folder_with_several_files_is_not_guessed_at(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_tiny_embedding(tmp_path / "source" / f"{name}.safetensors")
    with pytest.raises(ModelUnusable, match=r"a\.safetensors, b\.safetensors"):
        adopt(tmp_path / "models", tmp_path / "source", "own", Terms())


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    make_tiny_embedding(tmp_path / "a.safetensors")
    adopt(tmp_path / "models", tmp_path / "a.safetensors", "own", Terms())
    with pytest.raises(Refused, match="it is taken"):
        adopt(tmp_path / "models", tmp_path / "a.safetensors", "own", Terms())


@pytest.mark.parametrize(
    ("tensors", "kind", "architecture"),
    [
        ({"lora_unet_x_attn2_to_k.lora_down.weight": (4, 2048)}, "lora", "sdxl"),
        ({"lora_unet_x_attn2_to_k.lora_down.weight": (4, 768)}, "lora", "sd1"),
        ({"unet.x.attn2.to_k.lora_B.weight": (640, 4), "unet.x.attn2.to_k.lora_A.weight": (4, 1024)}, "lora", "sd2"),
        ({"image_proj.latents": (1, 16, 4), "ip_adapter.1.to_k_ip.weight": (320, 768)}, "ip-adapter", "sd1"),
        ({"controlnet_cond_embedding.conv_in.weight": (4, 3), "a.attn2.to_k.weight": (4, 2048)}, "controlnet", "sdxl"),
        ({"visual_projection.weight": (4, 4)}, "image-encoder", "clip"),
    ],
)
def test_kind_and_architecture_are_read_from_the_weights(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], kind: str, architecture: str
) -> None:
    save_file({key: torch.zeros(shape) for key, shape in tensors.items()}, tmp_path / "file.safetensors")
    entry = adopt(tmp_path / "models", tmp_path / "file.safetensors", "own", Terms())
    assert (entry.kind, entry.architecture) == (kind, architecture)


def test_what_is_still_arriving_is_not_listed(tmp_path: Path) -> None:
    said(tmp_path, ".sdxl.pulling")
    assert Catalogue(tmp_path).entries() == []
    assert Catalogue(tmp_path).damaged() == []
