"""A runtime looks for the models that it is to draw with before it starts anything."""

import json
import re

import pytest

from continuity.kernel.errors import InvalidValue
from services.embedded.models import check_models
from services.embedded.runtime import run
from services.embedded.settings import Settings as EmbeddedSettings
from services.rendering.settings import Settings


@pytest.fixture
def install(tmp_path):
    """Install a model by its description alone."""

    def install(name: str, kind: str) -> None:
        said = {"kind": kind, "architecture": "sdxl", "licence": "MIT", "commercial": True, "files": {}}
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.json").write_text(json.dumps(said))

    return install


@pytest.fixture
def installed(install):
    for name, kind in {
        "sdxl": "checkpoint",
        "mine": "checkpoint",
        "canny": "controlnet",
        "faces": "ip-adapter",
    }.items():
        install(name, kind)


def refused(tmp_path, **settings: object) -> str:
    with pytest.raises(InvalidValue) as error:
        check_models(Settings(home=tmp_path, **settings))
    return str(error.value)


def test_a_published_checkpoint_that_is_absent_is_refused_with_what_fetches_it(tmp_path, install):
    install("sdxl-tiny", "checkpoint")
    said = refused(tmp_path, renderer="sdxl")
    assert said.startswith("CONTINUITY_RENDERER: 'sdxl' is not acceptable; no checkpoint of that name is in ")
    assert said.endswith("/models; `continuity models pull sdxl` fetches it; there are: sdxl-tiny")


@pytest.mark.parametrize(
    ("setting", "name", "there_are"),
    [
        ("checkpoint", "nope", "mine, sdxl"),
        ("checkpoint", "faces", "mine, sdxl"),
        ("identity", "nope", "faces"),
        ("identity", "mine", "faces"),
        ("layout_guide", "nope", "canny"),
        ("layout_guide", "faces", "canny"),
    ],
)
def test_a_model_that_is_absent_or_of_another_kind_is_refused_with_those_that_there_are(
    tmp_path, installed, setting, name, there_are
):
    said = refused(tmp_path, renderer="sdxl", **{setting: name})
    assert said.startswith(f"CONTINUITY_{setting.upper()}: {name!r} is not acceptable; no ")
    assert said.endswith(f"/models; there are: {there_are}")


def test_a_model_whose_description_cannot_be_read_is_told_as_that(tmp_path, installed):
    (tmp_path / "models" / "mine" / "model.json").write_text("{")
    assert "model 'mine' cannot be used: model.json cannot be read" in refused(
        tmp_path, renderer="sdxl", checkpoint="mine"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"renderer": "previz", "checkpoint": "nope", "identity": "nope"},
        {"renderer": "sdxl"},
        {"renderer": "sdxl", "checkpoint": "mine", "identity": "faces", "layout_guide": "canny"},
        {"renderer": "sdxl", "identity": "off"},
        {"renderer": "sdxl", "layout_guide": "nope", "layout_strength": 0},
    ],
    ids=str,
)
def test_what_is_installed_or_not_drawn_with_is_taken(tmp_path, installed, settings):
    check_models(Settings(home=tmp_path, **settings))


def test_the_model_that_is_generated_need_not_be_there_and_another_must(tmp_path):
    check_models(Settings(home=tmp_path, renderer="sdxl-tiny"))
    assert refused(tmp_path, renderer="sdxl-tiny", checkpoint="nope").startswith("CONTINUITY_CHECKPOINT: 'nope'")


def test_where_shots_can_ask_for_another_checkpoint_the_renderers_own_may_be_absent(tmp_path, install):
    install("mine", "checkpoint")
    check_models(Settings(home=tmp_path, renderer="sdxl"))
    said = refused(tmp_path, renderer="sdxl", checkpoint="sdxl")
    assert said.endswith("`continuity models pull sdxl` fetches it; there are: mine")


async def test_a_runtime_without_its_model_opens_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTINUITY_IDENTITY", "nope")
    home = tmp_path / "home"
    with pytest.raises(InvalidValue, match=re.escape("CONTINUITY_IDENTITY: 'nope'")):
        await run(EmbeddedSettings(home=home, renderer="sdxl-tiny"), exit_when_idle=True)
    assert not home.exists()
