from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.errors import Refused
from engine.presets import PRESETS, preset
from engine.request import RenderRequest
from engine.samplers import chosen, sampler

NAMED = [
    ("sdxl-turbo", "sdxl-turbo"),
    ("SDXL_Turbo 1.0 fp16", "sdxl-turbo"),
    ("sd-turbo", "sd-turbo"),
    ("sdxl-lightning-4step", "sdxl-lightning"),
    ("lcm-sdxl", "lcm"),
]


@pytest.mark.parametrize(("name", "found"), NAMED)
def test_a_fast_checkpoint_is_known_by_its_name(name: str, found: str) -> None:
    known = preset(name)
    assert known is not None
    assert known.name == found


@pytest.mark.parametrize("name", ["sdxl-base-1.0", "turbovision-xl", "calcmix", ""])
def test_an_ordinary_checkpoint_has_none(name: str) -> None:
    assert preset(name) is None


def test_a_lora_makes_an_ordinary_checkpoint_fast() -> None:
    assert preset("sdxl-base-1.0", ["film-grain", "lcm-lora-sdxl"]) == PRESETS["lcm"]


@pytest.mark.parametrize("steps", [2, 4, 8])
@pytest.mark.parametrize("name", ["sdxl-lightning-{}", "sdxl-lightning-{}step", "SDXL_Lightning_{}step_LoRA"])
def test_lightning_takes_the_steps_that_its_name_says(name: str, steps: int) -> None:
    for known in (preset(name.format(steps)), preset("sdxl", [name.format(steps)])):
        assert known is not None
        assert (known.steps, known.most_steps) == (steps, steps)


def test_lightning_of_one_step_gives_the_picture_itself(config: dict[str, Any]) -> None:
    one, two = preset("sdxl-lightning-1step-x0"), preset("sdxl-lightning-2step")
    assert one is not None
    assert two is not None
    own = sampler(one.sampler, one.schedule, one.steps, {**config, **one.scheduling}, 0)
    picture = own.noise((1, 4, 8, 8))
    assert torch.allclose(own.step(picture, 0, 14 * picture.flip(3)), picture, atol=1e-5)
    assert not two.scheduling


@pytest.mark.parametrize("name", ["sdxl-lightning-1.0", "sdxl-lightning-16", "sdxl-turbo-1.0", "sdxl-turbo-2"])
def test_a_version_is_no_number_of_steps(name: str) -> None:
    assert preset(name) in PRESETS.values()


@pytest.mark.parametrize("name", PRESETS)
def test_defaults_make_a_request_that_is_taken_and_a_sampler(name: str, config: dict[str, Any]) -> None:
    known = PRESETS[name]
    request = RenderRequest("1", name, "a street", **known.defaults)
    known.require(request)
    assert chosen(request.sampler, request.schedule) == (known.sampler, known.schedule)
    assert sampler(request.sampler, request.schedule, request.steps, config, 0).evaluations == request.steps


@pytest.mark.parametrize("name", PRESETS)
def test_what_it_cannot_do_is_refused(name: str) -> None:
    known = PRESETS[name]
    request = RenderRequest("1", name, "a street", **known.defaults)
    with pytest.raises(Refused, match=rf"guidance: 7\.5 .*{name} takes at most"):
        known.require(replace(request, guidance=7.5))
    with pytest.raises(Refused, match=f"steps: 30 .*{name} is drawn in 1 to {known.most_steps}"):
        known.require(replace(request, steps=30))


@pytest.mark.parametrize("name", ["sdxl-turbo", "sd-turbo", "sdxl-lightning"])
def test_distilled_models_start_from_pure_noise(name: str, config: dict[str, Any]) -> None:
    known = PRESETS[name]
    own = sampler(known.sampler, known.schedule, known.steps, config, 0)
    assert float(own.timesteps[0]) == 999
