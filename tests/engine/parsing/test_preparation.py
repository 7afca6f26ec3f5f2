import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import engine
from engine.errors import ModelUnusable, Refused
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import About, write_about
from engine.preparation import Preparation, RawRequest
from engine.shapes import ShapeClass
from engine.text import tokenise
from engine.text.sources import facts_of

LIBS = str(Path(engine.__file__).parents[1])


def png(height: int = 64, width: int = 96, channels: int = 3, value: int = 200) -> bytes:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return cv2.imencode(".png", np.full(shape, value, np.uint8))[1].tobytes()


def raw(pictures: dict[str, Any] | None = None, **fields: object) -> RawRequest:
    spec = {"id": "job", "checkpoint": "tiny", "prompt": "a cat", "width_px": 256, "height_px": 256, **fields}
    return RawRequest(json.dumps(spec).encode(), **(pictures or {}))


@pytest.fixture(scope="module")
def prepare(catalogue: Path) -> Preparation:
    return Preparation(catalogue)


def refusal(prepare: Preparation, request: RawRequest) -> Refused:
    with pytest.raises(Refused) as refused:
        prepare(request)
    return refused.value


def test_a_plain_request_is_prepared(prepare, tiny):
    found = prepare(raw(negative="bad"))
    assert found.tokens == tokenise("a cat", "bad", tiny.tokenizers)
    assert found.shape == ShapeClass("sdxl", 256, 256, guided=True, chunks=1)
    assert (found.image, found.mask, found.layout, found.references) == (None, None, None, [])


def test_a_refiner_goes_with_latents_of_its_own_kind(prepare, tiny_catalogue):
    assert prepare(raw(refiner="any")).request.refiner == "any"
    refused = refusal(Preparation(tiny_catalogue.folder), raw(checkpoint="tiny-sd2", refiner="tiny-refiner"))
    assert (refused.field, refused.value) == ("refiner", "tiny-refiner")
    assert "tiny-sd2 is sd2" in str(refused)


def test_the_shape_follows_from_size_words_and_guides(prepare):
    request = raw(
        {"image": png(), "mask": png(channels=1), "layout": png(), "references": [png()]},
        prompt="word " * 80,
        width_px=1024,
        height_px=576,
        layout={"kind": "canny"},
        references=[{"picture": 0}],
    )
    shape = prepare(request).shape
    assert shape == ShapeClass("sdxl", 336, 192, guided=True, chunks=2, reference_slots=4, control=True, inpaint=True)


def test_without_guidance_the_negative_prompt_has_no_part(prepare):
    found = prepare(raw(guidance=1, negative="word " * 200))
    assert found.shape == ShapeClass("sdxl", 256, 256, guided=False, chunks=1)
    assert found.tokens == prepare(raw(guidance=0)).tokens


def test_the_layout_as_a_first_picture_is_no_control(prepare):
    found = prepare(raw({"layout": png()}, layout={"kind": "img2img"}))
    assert not found.shape.control
    assert found.layout.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("pictures", "fields", "field"),
    [
        ({"image": png()}, {"strength": 0.2, "steps": 3}, "strength"),
        ({"layout": png()}, {"layout": {"kind": "img2img", "scale": 1}}, "layout.scale"),
        ({}, {"hires": {"strength": 0.05, "steps": 10}}, "hires.strength"),
    ],
)
def test_a_pass_that_would_take_no_step_is_refused(prepare, pictures, fields, field):
    refused = refusal(prepare, raw(pictures, **fields))
    assert refused.field == field


def test_pictures_are_decoded_and_known_to_the_request(prepare):
    pictures = {"image": png(), "mask": png(channels=1), "references": [png(8, 9)], "reference_masks": [png(20, 30)]}
    found = prepare(raw(pictures, references=[{"picture": 0, "mask": 0}]))
    assert found.request.has_image
    assert found.request.has_mask
    assert (found.image.shape, found.mask.shape) == ((64, 96, 3), (64, 96))
    assert (found.references[0].shape, found.reference_masks[0].shape) == ((8, 9, 3), (20, 30))
    assert set(found.sha256) == {"image", "mask", "references[0]", "reference_masks[0]"}


def test_pictures_larger_than_anything_drawn_are_shrunk(prepare):
    pictures = {"image": png(3000, 600), "mask": png(3000, 600, 1), "references": [png(2048, 2048)]}
    found = prepare(raw(pictures, references=[{"picture": 0}]))
    assert found.image.shape[:2] == found.mask.shape == (2048, 410)
    assert found.references[0].shape == (1024, 1024, 3)


@pytest.mark.parametrize(
    ("pictures", "fields", "name"),
    [
        ({"mask": png(channels=1)}, {}, "mask"),
        ({"image": png(), "mask": png(32, 32, 1)}, {}, "mask"),
        ({"image": b"no picture"}, {}, "image"),
        ({}, {"has_image": True}, "image"),
        ({"image": png()}, {"has_mask": True}, "mask"),
        ({"layout": png()}, {}, "layout"),
        ({}, {"layout": {"kind": "canny"}}, "layout"),
        ({"layout": b"x"}, {"layout": {"kind": "canny"}}, "layout"),
        ({"layout": png(), "image": png()}, {"layout": {"kind": "img2img"}}, "layout.kind"),
        ({}, {"references": [{"picture": 0}]}, "references[0].picture"),
        ({"references": [png()]}, {"references": [{"picture": 0}, {"picture": 1}]}, "references[1].picture"),
        ({"references": [png()]}, {"references": [{"picture": 0, "mask": 0}]}, "references[0].mask"),
        ({"references": [png(), b"x"]}, {"references": [{"picture": 0}]}, "references[1]"),
        ({"references": [png()], "reference_masks": [b""]}, {"references": [{"picture": 0}]}, "reference_masks[0]"),
        ({"references": [png()] * 5}, {}, "references"),
        ({}, {"prompt": "(a:1000)"}, "prompt"),
        ({}, {"steps": 0}, "steps"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_name(prepare, pictures, fields, name):
    assert refusal(prepare, raw(pictures, **fields)).field == name
    assert prepare(raw()).tokens.chunks == 1


def test_a_mask_of_another_size_is_refused_with_both_sizes(prepare):
    found = str(refusal(prepare, raw({"image": png(), "mask": png(32, 40, 1)})))
    assert "40×32" in found
    assert "96×64" in found


def test_an_unknown_checkpoint_is_refused_with_the_nearest_name(prepare):
    assert "did you mean 'tiny'" in str(refusal(prepare, raw(checkpoint="tinny")))


def test_what_was_prepared_goes_through_a_pickle(prepare):
    found = prepare(raw({"image": png()}))
    again = pickle.loads(pickle.dumps(found))
    assert (again.request, again.tokens, again.shape) == (found.request, found.tokens, found.shape)
    assert (again.image == found.image).all()


def test_preparing_never_imports_torch(catalogue):
    program = f"""
import json, sys
from pathlib import Path
from engine.preparation import Preparation, RawRequest
Preparation(Path({str(catalogue)!r}))(RawRequest({raw().spec!r}))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": LIBS, "HF_HUB_OFFLINE": "1"})


@pytest.fixture
def with_embeddings(catalogue: Path, tmp_path: Path) -> Path:
    (tmp_path / "tiny").symlink_to(catalogue / "tiny")
    embedding(tmp_path / "Ada", {"clip_l": torch.zeros(3, 24), "clip_g": torch.zeros(3, 32)})
    embedding(tmp_path / "older", {"emb_params": torch.zeros(2, 24)}, architecture="sd2")
    return tmp_path


def embedding(folder: Path, rows: dict[str, torch.Tensor], architecture: str = "sdxl") -> None:
    folder.mkdir()
    save_file(rows, folder / "embedding.safetensors")
    write_about(folder, About("embedding", architecture, "none", commercial=True))


def test_a_textual_inversion_is_found_by_its_name_in_either_prompt(with_embeddings):
    prepare = Preparation(with_embeddings)
    assert prepare(raw(prompt="a photo of ada")).tokens.triggers == (("Ada", 3),)
    assert prepare(raw(negative="ADA")).tokens.triggers == (("Ada", 3),)
    assert prepare(raw()).tokens.triggers == ()


def test_a_textual_inversion_for_another_base_is_a_word_like_others(with_embeddings):
    assert Preparation(with_embeddings)(raw(prompt="older")).tokens.triggers == ()


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, (2).to_bytes(8, "little") + b"{}"])
def test_a_damaged_textual_inversion_is_named(with_embeddings, content):
    (with_embeddings / "Ada" / "embedding.safetensors").write_bytes(content)
    with pytest.raises(ModelUnusable, match="'Ada'"):
        Preparation(with_embeddings)(raw(prompt="ada"))


def test_what_is_no_checkpoint_cannot_be_drawn_with(with_embeddings):
    with pytest.raises(Refused, match="of kind embedding"):
        facts_of(with_embeddings, "Ada")


@pytest.mark.parametrize("config", ["", "{}", '{"sample_size": null}', '{"sample_size": [1]}'])
def test_a_checkpoint_that_does_not_tell_its_size_is_named(tmp_path, config):
    for folder in ("tiny/tokenizer", "tiny/unet"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tiny/unet/config.json").write_text(config)
    write_about(tmp_path / "tiny", About("checkpoint", "sdxl", "none", commercial=True))
    with pytest.raises(ModelUnusable, match="native size"):
        facts_of(tmp_path, "tiny")


@pytest.fixture
def installed(tiny_folder: Path, tmp_path: Path) -> Path:
    """A catalogue whose models state their files, copies of the tiny ones."""
    shutil.copytree(tiny_folder, tmp_path / "source")
    adopt(tmp_path / "models", tmp_path / "source", "tiny", Terms())
    save_file({"clip_l": torch.zeros(3, 24), "clip_g": torch.zeros(3, 32)}, tmp_path / "Ada.safetensors")
    adopt(tmp_path / "models", tmp_path / "Ada.safetensors", "Ada", Terms())
    return tmp_path / "models"


@pytest.mark.parametrize(
    "file", ["tiny/tokenizer/vocab.json", "tiny/tokenizer_2/merges.txt", "tiny/unet/config.json", "Ada/Ada.safetensors"]
)
def test_a_file_that_was_replaced_is_not_prepared_with(installed, file):
    prepare, request = Preparation(installed), raw(prompt="ada")
    assert prepare(request).tokens.triggers == (("Ada", 3),)
    (installed / file).write_bytes((installed / file).read_bytes() + b" ")
    with pytest.raises(ModelUnusable, match="is not what was installed"):
        prepare(request)


def test_another_tokenizer_under_the_same_name_is_read_anew(installed):
    prepare = Preparation(installed)
    before = prepare(raw()).tokens
    shutil.rmtree(installed / "tiny")
    source = installed.parent / "source"
    for name in ("tokenizer", "tokenizer_2"):
        path = source / name / "vocab.json"
        words = json.loads(path.read_text())
        words["cat</w>"], words["dog</w>"] = words["dog</w>"], words["cat</w>"]
        path.unlink()
        path.write_text(json.dumps(words))
    adopt(installed, source, "tiny", Terms())
    assert prepare(raw()).tokens != before
    assert prepare(raw(prompt="a dog")).tokens.positive == before.positive
