"""What a shot's own options make of the request that the engine gets, and the pictures that come back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from continuity.inference.tensors import ModelSpec
from continuity.kernel.errors import Absent
from continuity.objects.memory import InMemoryObjectStore
from engine.parsing.specification import parse
from engine.request import HiresFix as EngineHiresFix
from engine.request import LayoutGuide, RenderRequest
from engine.request import LoraUse as EngineLoraUse
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.sdxl_options import SdxlChoice
from services.rendering.adapters.sdxl_renderer import SdxlRenderer
from services.rendering.adapters.stored_sources import source_key
from services.rendering.domain.job import RENDERING, Job
from services.rendering.domain.render_options import HiresFix, LoraUse, RenderOptions, SourceImage
from services.rendering.handlers.ports import Picture, RenderTask
from services.rendering.settings import Settings
from tests.unit.rendering.builders import PROJECT, PROMPT, job_in, shot
from tests.unit.rendering.fakes import SetClock

IMAGE, MASK = "a" * 64, "b" * 64
FRAME = np.zeros((32, 64, 3), np.uint8)
STEP = {"step": np.array([1]), "steps": np.array([20]), "preview": np.array([b"jpeg"], np.object_)}


class HereAndNow:
    """A pool that computes at once."""

    async def run(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


class ObligingTriton:
    """Draws as many pictures as it is asked for, each as bright as its index; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Mapping[str, Any]] = {}
        self.left_early = False

    async def ready(self, _model: str) -> bool:
        return True

    async def stream(self, model: ModelSpec, inputs: Mapping[str, Any], **_: Any) -> AsyncIterator[Any]:
        self.asked[model.name] = inputs
        if model.name == "previz":
            yield {**STEP, "image": FRAME, "masks": np.zeros((0, 32, 64), np.uint8)}
            return
        self.left_early = True
        for index in range(json.loads(inputs["spec"][0]).get("images", 1)):
            yield STEP
            manifest = np.array([json.dumps({"index": index}).encode()], np.object_)
            yield {**STEP, "index": np.array([index]), "image": FRAME + index, "manifest": manifest}
        self.left_early = False

    def request(self) -> RenderRequest:
        """Return how the engine reads what it was sent."""
        return parse(self.asked["sdxl"]["spec"][0])


async def drawn(
    options: RenderOptions | None, take: int | None = None, **settings: Any
) -> tuple[ObligingTriton, list[Any]]:
    return await drawn_job(job_in(RENDERING, shot(options=options)), take, **settings)


async def drawn_job(job: Job, take: int | None = None, **settings: Any) -> tuple[ObligingTriton, list[Any]]:
    triton, objects = ObligingTriton(), InMemoryObjectStore()
    for sha256 in (IMAGE, MASK):
        await objects.put(source_key(PROJECT, sha256), sha256[:1].encode(), "image/png")
    asked: Any = triton
    composer, pool = PrevizRenderer(asked, objects, "previz-1.2.0"), HereAndNow()
    choose = SdxlChoice(Settings(**{"renderer": "sdxl", "identity": "off", **settings}))
    clock: Any = SetClock()
    made = SdxlRenderer(asked, composer, choose, objects=objects, pool=pool, clock=clock, version="1")  # type: ignore[arg-type]
    task = RenderTask(PROJECT, replace(job, characters=(), location=None, width_px=640, height_px=360), 600.0, take)
    return triton, [update async for update in made.render(task)]


async def request(options: RenderOptions | None, **settings: Any) -> RenderRequest:
    triton, _ = await drawn(options, **settings)
    return triton.request()


async def test_what_a_shot_asks_goes_over_what_the_service_is_set_to() -> None:
    asked = RenderOptions(
        checkpoint="juggernaut",
        steps=12,
        guidance=0.0,
        rescale=0.7,
        sampler="Euler a",
        clip_skip=2,
        loras=(LoraUse("film-grain", -0.5), LoraUse("neon")),
        hires=HiresFix(2.0, 0.3, 8),
        refiner="sdxl-refiner",
        layout_strength=0.25,
    )
    got = await request(asked, steps=30, guidance=9, sampler="heun", schedule="karras")
    assert (got.checkpoint, got.steps, got.guidance, got.rescale, got.clip_skip) == ("juggernaut", 12, 0.0, 0.7, 2)
    assert (got.sampler, got.schedule) == ("euler-ancestral", "normal"), "another sampler is run with its own schedule"
    assert got.loras == (EngineLoraUse("film-grain", -0.5), EngineLoraUse("neon", 1.0))
    assert (got.hires, got.refiner) == (EngineHiresFix(2.0, 0.3, 8), "sdxl-refiner")
    assert got.layout == LayoutGuide("img2img", 0.25)


async def test_words_in_a1111s_grammar_follow_what_was_built_as_they_are_written() -> None:
    got = await request(RenderOptions(prompt="(red scarf:1.3) BREAK\nrain", negative="[crowd], (blur:1.2"))
    assert got.prompt == f"{PROMPT.text}, (red scarf:1.3) BREAK\nrain"
    assert got.negative == f"{PROMPT.negative}, [crowd], (blur:1.2"


async def test_a_lora_of_few_steps_in_the_prompt_is_drawn_as_one_among_the_loras_is() -> None:
    got = await request(RenderOptions(prompt="rain <lora:lcm-lora-sdxl:0.8>"))
    assert got.loras == (EngineLoraUse("lcm-lora-sdxl", 0.8),)
    assert (got.sampler, got.steps, got.guidance) == ("lcm", 4, 1.0)


async def test_what_a_shot_leaves_open_is_as_the_service_is_set_to() -> None:
    plain = await request(None, steps=30, guidance=9, sampler="heun", schedule="karras")
    assert await request(RenderOptions(clip_skip=0), steps=30, guidance=9, sampler="heun", schedule="karras") == plain
    assert (plain.steps, plain.guidance, plain.sampler, plain.schedule) == (30, 9.0, "heun", "karras")


@pytest.mark.parametrize(
    ("asked", "settings", "drawn_with"),
    [
        ({"checkpoint": "sdxl-turbo"}, {"steps": 30, "guidance": 9}, ("euler-ancestral", "sgm-uniform", 2, 0.0)),
        ({"checkpoint": "sdxl-turbo", "steps": 4}, {}, ("euler-ancestral", "sgm-uniform", 4, 0.0)),
        ({"loras": (LoraUse("lcm-lora-sdxl"),)}, {"sampler": "heun"}, ("lcm", "normal", 4, 1.0)),
        (
            {"loras": (LoraUse("grain"),)},
            {"checkpoint": "sdxl-turbo", "steps": 3},
            ("euler-ancestral", "sgm-uniform", 3, 0.0),
        ),
        ({"checkpoint": "sdxl"}, {"checkpoint": "sdxl-turbo"}, ("dpmpp-2m", "karras", 20, 6.0)),
        ({"schedule": "beta"}, {}, ("dpmpp-2m", "beta", 20, 6.0)),
        ({"schedule": "beta"}, {"sampler": "DPM++ 2M SDE Karras"}, ("dpmpp-2m-sde", "beta", 20, 6.0)),
        ({"sampler": "Euler Karras"}, {"sampler": "heun", "schedule": "beta"}, ("euler", "karras", 20, 6.0)),
    ],
    ids=str,
)
async def test_a_checkpoint_or_lora_of_few_steps_is_drawn_as_it_comes(
    asked: dict[str, Any], settings: dict[str, Any], drawn_with: tuple[Any, ...]
) -> None:
    got = await request(RenderOptions(**asked), **settings)
    assert (got.sampler, got.schedule, got.steps, got.guidance) == drawn_with


@pytest.mark.parametrize(("film", "service"), [(False, False), (True, False), (False, True)])
async def test_a_film_is_commercial_when_it_says_so_or_the_service_does(film: bool, service: bool) -> None:
    triton, _ = await drawn_job(replace(job_in(RENDERING), commercial=film), commercial=service)
    assert triton.request().commercial == (film or service)


async def test_a_picture_to_begin_with_stands_in_the_place_of_the_layout() -> None:
    source = SourceImage(IMAGE, MASK, 0.4)
    triton, _ = await drawn(RenderOptions(source=source))
    assert triton.asked.keys() == {"sdxl"}, "nobody needs a previz frame"
    inputs = triton.asked["sdxl"]
    assert (inputs["image"][0], inputs["mask"][0]) == (b"a", b"b")
    assert "layout" not in inputs
    got = triton.request()
    assert (got.layout, got.strength) == (None, 0.4)


async def test_beside_a_picture_to_begin_with_a_control_net_still_sees_the_layout() -> None:
    triton, _ = await drawn(RenderOptions(source=SourceImage(IMAGE), layout_guide="depth", layout_strength=1.5))
    assert triton.asked["sdxl"].keys() == {"spec", "image", "layout"}
    assert triton.request().layout == LayoutGuide("depth", 1.5)


async def test_a_picture_that_is_gone_is_the_error_of_that_shot() -> None:
    with pytest.raises(Absent, match="sources"):
        await drawn(RenderOptions(source=SourceImage("c" * 64)))


async def test_without_identity_no_references_are_sent_and_no_frame_is_drawn() -> None:
    asked = RenderOptions(identity_strength=0.0, layout_strength=0.0)
    triton, _ = await drawn(asked, identity="faces")
    assert triton.asked.keys() == {"sdxl"}


async def test_takes_come_in_their_order_and_the_last_when_all_is_answered() -> None:
    triton, updates = await drawn(RenderOptions(images=3))
    pictures = [update for update in updates if isinstance(update, Picture)]
    assert [(each.take, each.pixels[0, 0, 0], json.loads(each.manifest)["index"]) for each in pictures] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 2),
    ]
    assert not triton.left_early
    assert triton.request().seed == PROMPT.seed


async def test_one_take_alone_has_its_own_seed_and_number() -> None:
    triton, updates = await drawn(RenderOptions(images=3), take=2)
    (picture,) = [update for update in updates if isinstance(update, Picture)]
    assert picture.take == 2
    got = triton.request()
    assert (got.images, got.seed) == (1, PROMPT.seed + 2)
