"""Weights stay within the budget; what a request draws with is not taken from under it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from engine.errors import ModelUnusable, OutOfMemory, Refused
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.models.tiny.sdxl import make_tiny

ROOM_FOR_TWO = 30_000_000


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Catalogue:
    folder = tmp_path_factory.mktemp("three")
    for name in "abc":
        adopt(folder, tiny_folder, name, Terms())
    return Catalogue(folder)


def models(catalogue: Catalogue, budget_bytes: int) -> Models:
    return Models(catalogue, "cpu", torch.float32, budget_bytes)


def test_a_checkpoint_is_loaded_once(three: Catalogue) -> None:
    held = models(three, ROOM_FOR_TWO)
    assert held.checkpoint("a") is held.checkpoint("a")
    assert held.used_bytes == held.checkpoint("a").weight_bytes


def test_the_one_longest_unused_makes_room(three: Catalogue) -> None:
    held = models(three, ROOM_FOR_TWO)
    for name in "aba":
        held.checkpoint(name)
    held.checkpoint("c")
    assert held.loaded == ["a", "c"]
    assert held.used_bytes <= ROOM_FOR_TWO


def test_what_is_held_stays_until_it_is_released_as_often(three: Catalogue) -> None:
    held = models(three, ROOM_FOR_TWO)
    first = held.hold("a")
    assert held.hold("a") is first
    held.checkpoint("b")
    held.checkpoint("c")
    assert held.loaded == ["a", "c"]
    held.release("a")
    held.drop("a")
    assert held.checkpoint("a") is first
    held.release("a")
    held.drop("a")
    assert held.loaded == ["c"]


def test_without_room_beside_what_is_held_nothing_is_evicted(three: Catalogue) -> None:
    held = models(three, ROOM_FOR_TWO)
    held.hold("a")
    held.hold("b")
    with pytest.raises(OutOfMemory) as caught:
        held.checkpoint("c")
    assert caught.value.phase == "load"
    assert caught.value.wanted_bytes == held.checkpoint("a").weight_bytes
    assert sorted(held.loaded) == ["a", "b"]


def test_more_than_the_whole_budget_is_refused_before_anything_is_read(three: Catalogue) -> None:
    with pytest.raises(OutOfMemory):
        models(three, 1000).checkpoint("a")


def test_only_checkpoints_are_loaded(tiny_catalogue: Catalogue) -> None:
    with pytest.raises(Refused, match="kind lora"):
        models(tiny_catalogue, ROOM_FOR_TWO).checkpoint("tiny-lora")


def test_a_checkpoint_that_cannot_be_used_leaves_the_others(
    three: Catalogue, tmp_path: Path, tiny_folder: Path
) -> None:
    adopt(tmp_path, tiny_folder, "good", Terms())
    bad = adopt(tmp_path, tiny_folder, "bad", Terms())
    (bad.path / "unet" / "config.json").unlink()
    held = models(Catalogue(tmp_path), ROOM_FOR_TWO)
    held.checkpoint("good")
    with pytest.raises(ModelUnusable):
        held.checkpoint("bad")
    assert held.loaded == ["good"]


@pytest.fixture
def replaceable(tmp_path: Path, tiny_folder: Path) -> Catalogue:
    adopt(tmp_path / "models", tiny_folder, "own", Terms())
    make_tiny(tmp_path / "other", seed=1)
    return Catalogue(tmp_path / "models")


def replace_it(catalogue: Catalogue) -> None:
    """Install another model under the same name."""
    shutil.rmtree(catalogue.folder / "own")
    adopt(catalogue.folder, catalogue.folder.parent / "other", "own", Terms())


def test_what_was_replaced_under_its_name_is_loaded_anew(replaceable: Catalogue) -> None:
    held = models(replaceable, ROOM_FOR_TWO)
    old = held.checkpoint("own")
    replace_it(replaceable)
    assert held.loaded == []
    new = held.checkpoint("own")
    assert new.sha256 != old.sha256
    assert not torch.equal(new.unet.conv_in.weight, old.unet.conv_in.weight)
    assert held.loaded == ["own"]
    assert held.used_bytes == new.weight_bytes


def test_what_was_replaced_while_in_use_is_refused_until_it_is_released(replaceable: Catalogue) -> None:
    held = models(replaceable, ROOM_FOR_TWO)
    old = held.hold("own")
    replace_it(replaceable)
    with pytest.raises(ModelUnusable, match="replaced while in use"):
        held.hold("own")
    held.release("own")
    assert held.checkpoint("own") is not old


def test_what_was_removed_is_not_drawn_with(replaceable: Catalogue) -> None:
    held = models(replaceable, ROOM_FOR_TWO)
    held.checkpoint("own")
    shutil.rmtree(replaceable.folder / "own")
    assert held.loaded == []
    with pytest.raises(Refused, match="no model is installed"):
        held.checkpoint("own")


def test_a_file_that_is_gone_or_no_weights_is_an_error_of_that_model(replaceable: Catalogue) -> None:
    path = replaceable.folder / "own" / "unet" / "diffusion_pytorch_model.safetensors"
    for content, said in (b"\xff" * 16, "damaged"), (b"\x02" + b"\0" * 7 + b"[]", "damaged"), (None, "missing"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelUnusable, match=rf"unet/{path.name} .*{said}") as caught:
            models(replaceable, ROOM_FOR_TWO).checkpoint("own")
        assert caught.value.name == "own"
        assert str(replaceable.folder) not in str(caught.value)
        path.touch()


def test_what_nobody_holds_can_be_given_up_though_it_was_replaced(replaceable: Catalogue) -> None:
    held = models(replaceable, ROOM_FOR_TWO)
    old = held.hold("own")
    replace_it(replaceable)
    held.give_up()
    assert held.has(old)
    held.release("own")
    held.give_up()
    assert not held.has(old)
    assert held.used_bytes == 0
