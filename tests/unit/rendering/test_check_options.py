"""Everything that shots cannot be drawn with is told at once, before any of them is handed in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from continuity.api.common.v1.render_options_pb2 import HiresFix, LoraUse, RenderOptions
from continuity.api.common.v1.shot_pb2 import SHOT_TYPE_WIDE, Shot
from continuity.api.rendering.v1.render_service_pb2 import CheckOptionsRequest, RefusedOption, SubmitShotsRequest
from continuity.wire.rules import violations
from services.rendering.adapters.sdxl_models import FolderModels
from services.rendering.adapters.sdxl_options import SdxlChoice
from services.rendering.adapters.sdxl_rules import EngineRules
from services.rendering.domain import render_options
from services.rendering.entrypoints.servicer import RenderServicer
from services.rendering.handlers.check_options import CheckOptions, OptionsAsked
from services.rendering.settings import Settings

SHOT = Shot(scene_id="1", shot_number=1, shot_type=SHOT_TYPE_WIDE)
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install a model by its description alone."""

    def install(name: str, kind: str, *, commercial: bool = True) -> None:
        said = {"kind": kind, "architecture": "sdxl", "licence": "Research", "commercial": commercial, "files": {}}
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.json").write_text(json.dumps(said))

    return install


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Any]:
    """Ask what is wrong with options; ``renderer`` and the like are settings."""

    async def told(
        film: RenderOptions | None, *shots: RenderOptions, film_is_commercial: bool = False, **settings: Any
    ) -> list[RefusedOption]:
        made = Settings(**{"home": tmp_path, "renderer": "sdxl", "identity": "off", **settings})
        check = CheckOptions(EngineRules(SdxlChoice(made)), FolderModels(made))
        servicer = RenderServicer(*[Mock()] * 7, check)
        size = {"width_px": 1280, "height_px": 720}
        request = CheckOptionsRequest(options=film, shots=shots, commercial=film_is_commercial, **size)
        assert not violations(request)
        return list((await servicer.CheckOptions(request, Mock())).refused)

    return told


def fields(refused: list[RefusedOption]) -> list[str]:
    return [each.field for each in refused]


async def test_every_wrong_option_of_film_and_shots_is_told_by_its_path(told) -> None:
    film = RenderOptions(sampler="eulr", hires=HiresFix(scale=4, strength=0.01))
    shots = RenderOptions(), RenderOptions(schedule="kerras"), RenderOptions(sampler="dpm++ 2n")
    refused = await told(film, *shots)
    assert fields(refused) == [
        "options.sampler",
        "options.hires.scale",
        "options.hires.strength",
        "shots[1].options.schedule",
        "shots[2].options.sampler",
    ]
    assert [each.value for each in refused] == ["eulr", "4.0", "0.01", "kerras", "dpm++ 2n"]
    assert "did you mean 'euler'?" in refused[0].limit
    assert "did you mean 'karras'?" in refused[3].limit


async def test_options_that_can_be_drawn_with_are_told_nothing_of(told) -> None:
    assert await told(RenderOptions(sampler="Euler a", steps=8), RenderOptions(guidance=3)) == []
    assert await told(None, RenderOptions()) == []


async def test_what_only_the_film_says_is_told_without_a_shot(told) -> None:
    assert fields(await told(RenderOptions(sampler="eulr"))) == ["options.sampler"]


async def test_models_that_are_not_there_are_told_with_the_nearest_of_those_that_are(told, install) -> None:
    for name, kind in {"sdxl": "checkpoint", "grain": "lora", "canny": "controlnet"}.items():
        install(name, kind)
    film = RenderOptions(checkpoint="sdlx", loras=[LoraUse(name="grain"), LoraUse(name="sdxl")])
    shot = RenderOptions(layout_guide="cany", refiner="mine", sampler="eulr")
    refused = {each.field: each.limit for each in await told(film, shot)}
    assert set(refused) == {
        "options.checkpoint",
        "options.loras[1].name",
        "shots[0].options.layout_guide",
        "shots[0].options.refiner",
        "shots[0].options.sampler",
    }
    assert "did you mean 'sdxl'?" in refused["options.checkpoint"]
    assert "one of kind lora is wanted; installed of kind lora: grain" in refused["options.loras[1].name"]
    assert "did you mean 'canny'?" in refused["shots[0].options.layout_guide"]


async def test_a_lora_that_the_prompt_names_is_looked_for_as_well(told, install) -> None:
    install("grain", "lora")
    (refused,) = await told(RenderOptions(prompt="<lora:grain:1> <lora:grian:0.5>"))
    assert (refused.field, refused.value) == ("options.prompt", "grian")
    assert "did you mean 'grain'?" in refused.limit


@pytest.mark.parametrize("field", ["prompt", "negative"])
def test_words_are_refused_that_are_too_many(field: str) -> None:
    assert not violations(SubmitShotsRequest(shots=[SHOT], options=RenderOptions(**{field: "x" * 2_000})))
    (broken,) = violations(SubmitShotsRequest(shots=[SHOT], options=RenderOptions(**{field: "x" * 2_001})))
    assert broken.field == f"options.{field}"


@pytest.mark.parametrize("settings", [{"renderer": "previz"}, {"models": Path("/nowhere")}], ids=str)
async def test_where_nothing_is_known_of_models_none_is_missing(told, install, settings: dict[str, Any]) -> None:
    install("sdxl", "checkpoint")
    assert await told(RenderOptions(checkpoint="nope", loras=[LoraUse(name="nope")]), **settings) == []


async def test_the_model_that_is_generated_need_not_be_there_yet(told, install) -> None:
    install("other", "checkpoint")
    assert await told(RenderOptions(checkpoint="sdxl-tiny"), renderer="sdxl-tiny") == []
    assert fields(await told(RenderOptions(checkpoint="sdxl-tiny"))) == ["options.checkpoint"]


@pytest.mark.parametrize(("film", "service"), [(True, False), (False, True), (False, False)])
async def test_a_model_that_is_not_for_commercial_use_is_told_of_in_a_commercial_film(
    told, install, film: bool, service: bool
) -> None:
    install("festival", "lora", commercial=False)
    refused = await told(RenderOptions(loras=[LoraUse(name="festival")]), film_is_commercial=film, commercial=service)
    assert fields(refused) == (["options.loras[0].name"] if film or service else [])


async def test_two_thousand_shots_with_mistakes_of_their_own_are_told_up_to_a_limit(told) -> None:
    shots = [RenderOptions(steps=1 + number % 150, sampler=f"s{number}") for number in range(2_000)]
    assert len(await told(None, *shots)) == 1_000


async def test_a_disk_that_hangs_holds_up_nobody_else() -> None:
    loop, looking, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class Hanging:
        def refusals(self, *_: Any, **_more: Any) -> Iterator[Any]:
            loop.call_soon_threadsafe(looking.set)
            assert goes_on.wait(10), "nothing else ran meanwhile"
            yield from ()

    check = CheckOptions(Mock(refusals=Mock(return_value=())), Hanging())
    asking = asyncio.create_task(check(OptionsAsked((render_options.RenderOptions(steps=5),))))
    await looking.wait()
    goes_on.set()
    assert await asking == []
