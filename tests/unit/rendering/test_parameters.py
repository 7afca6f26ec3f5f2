from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engine.samplers.names import POSSIBLE, chosen
from services.rendering.adapters.parameters import parameters_text

SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""How settings are taken from the last line by those who read them."""
WEIGHTS = {"checkpoint": {"name": "sdxl", "sha256": "0123456789abcdef" * 4}}
SETTINGS = {
    "renderer": "sdxl 2 sdxl 8a3b1c2d",
    "prompt": "Ward",
    "negative_prompt": "blurry",
    "seed": 7,
    "width_px": 1024,
    "height_px": 576,
}
REQUEST = {
    "checkpoint": "sdxl",
    "prompt": "Ward",
    "negative": "blurry",
    "steps": 20,
    "guidance": 6.0,
    "sampler": "dpmpp-2m",
    "schedule": "karras",
    "rescale": 0.0,
    "clip_skip": 0,
    "loras": [],
    "hires": None,
    "refiner": None,
    "layout": None,
    "has_image": False,
    "strength": 0.6,
}


def text(**asked: Any) -> str:
    return parameters_text(SETTINGS | {"engine": {"request": REQUEST | asked, "weights": WEIGHTS}})


def read(**asked: Any) -> dict[str, str]:
    pairs = SETTING.findall(text(**asked).split("\n")[-1])
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


def test_a_plain_picture_has_the_names_that_others_know_and_nothing_else() -> None:
    assert read() == {
        "Steps": "20",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": "6.0",
        "Seed": "7",
        "Size": "1024x576",
        "Model hash": "0123456789",
        "Model": "sdxl",
    }


@pytest.mark.parametrize(
    ("sampler", "schedule"), [(name, each) for name, schedules in POSSIBLE.items() for each in schedules]
)
def test_sampler_and_schedule_are_understood_when_they_are_asked_for_again(sampler: str, schedule: str) -> None:
    found = read(sampler=sampler, schedule=schedule)
    assert found["Sampler"] != sampler
    assert chosen(found["Sampler"], found["Schedule type"]) == (sampler, schedule)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"has_image": True, "strength": 0.35}, {"Denoising strength": "0.35"}),
        ({"layout": {"kind": "img2img", "scale": 0.3}}, {"Denoising strength": "0.7"}),
        ({"layout": {"kind": "depth", "scale": 0.3}}, {}),
        ({"clip_skip": 1}, {"Clip skip": "3"}),
        (
            {"hires": {"scale": 1.5, "strength": 0.4, "steps": None}},
            {"Denoising strength": "0.4", "Hires upscale": "1.5", "Hires steps": "8"},
        ),
        ({"refiner": "sdxl-refiner"}, {"Refiner": "sdxl-refiner"}),
    ],
    ids=str,
)
def test_what_was_asked_besides_is_told_and_only_then(asked: dict[str, Any], told: dict[str, str]) -> None:
    assert read(**asked) == read() | told


def test_a_refiner_is_told_with_the_beginning_of_its_hash() -> None:
    engine = {"request": REQUEST | {"refiner": "fine"}, "weights": {**WEIGHTS, "adapters": {"fine": "fe" * 32}}}
    assert "Refiner: fine [fefefefefe]" in parameters_text(SETTINGS | {"engine": engine})


def test_loras_stand_in_the_prompt_where_they_are_asked_for() -> None:
    loras = [{"name": "film-grain", "scale": 0.5}, {"name": "neon", "scale": 1.0}]
    assert text(prompt="Ward, rain", loras=loras).startswith(
        "Ward, rain <lora:film-grain:0.5> <lora:neon:1>\nNegative prompt: blurry\n"
    )


def test_another_checkpoint_of_the_shot_is_the_model() -> None:
    assert read(checkpoint="juggernaut")["Model"] == "juggernaut"


def test_previz_is_told_as_what_it_is() -> None:
    told = parameters_text(SETTINGS | {"renderer": "previz 1.2.0"})
    assert told.split("\n")[-1] == (
        "Steps: 1, Sampler: previz, CFG scale: 0, Seed: 7, Size: 1024x576, Model: previz 1.2.0"
    )
