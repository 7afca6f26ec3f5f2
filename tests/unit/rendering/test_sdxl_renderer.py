"""What the diffusion engine is asked for, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.tensors import ModelSpec
from continuity.kernel.errors import ContinuityError, Full
from continuity.objects.memory import InMemoryObjectStore
from continuity.wire.conversion import closed
from engine.errors import Refused
from engine.parsing.specification import parse
from engine.request import RenderRequest
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.sdxl_errors import EngineRefused
from services.rendering.adapters.sdxl_options import SdxlChoice, SdxlOptions
from services.rendering.adapters.sdxl_renderer import SdxlRenderer
from services.rendering.adapters.sdxl_request import encode_guides
from services.rendering.domain.errors import RenderCrashed, RendererDown
from services.rendering.domain.job import RENDERING, SUCCEEDED, Job
from services.rendering.domain.render_options import RenderOptions
from services.rendering.handlers.ports import Picture, RenderTask, Step
from services.rendering.settings import Settings
from tests.unit.rendering.builders import PROJECT, PROMPT, job_in, shot
from tests.unit.rendering.fakes import SetClock

HEIGHT, WIDTH = 32, 64
NOW = 1_000_000.0
SIZE = {"width_px": 640, "height_px": 360}


def options_of(settings: Settings) -> SdxlOptions:
    """Return what a shot without options is drawn with."""
    return SdxlChoice(settings).service


SETTINGS = Settings(renderer="sdxl-tiny", identity="tiny-adapter")
OPTIONS = options_of(SETTINGS)
STEP = {"step": np.array([1]), "steps": np.array([20]), "preview": np.array([b"jpeg"], np.object_)}
DRAWN = np.full((HEIGHT, WIDTH, 3), 9, np.uint8)
PICTURE = {**STEP, "index": np.array([0]), "image": DRAWN, "manifest": np.array([b'{"seed": 7}'], np.object_)}


def masks(*shares: float) -> np.ndarray:
    """One mask for each figure, white from the left up to a share of the width."""
    made = np.zeros((len(shares), HEIGHT, WIDTH), np.uint8)
    for mask, share in zip(made, shares, strict=True):
        mask[:, : round(share * WIDTH)] = 255
    return made


class ScriptedTriton:
    """Answers for previz with a frame and for SDXL with the script; remembers what it was asked."""

    def __init__(self, *responses: Mapping[str, Any], failure: Exception | None = None, seen: Any = None) -> None:
        self.responses, self.failure = responses, failure
        self.masks = masks() if seen is None else seen
        self.asked: dict[str, Mapping[str, Any]] = {}
        self.options: dict[str, Any] = {}
        self.away: set[str] = set()

    async def ready(self, model: str) -> bool:
        return model not in self.away

    async def stream(self, model: ModelSpec, inputs: Mapping[str, Any], **options: Any) -> AsyncIterator[Any]:
        self.asked[model.name], self.options = inputs, options
        if model.name == "previz":
            yield {**STEP, "image": np.full((HEIGHT, WIDTH, 3), (10, 20, 30), np.uint8), "masks": self.masks}
            return
        for response in self.responses:
            yield response
        if self.failure:
            raise self.failure

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self.asked["sdxl"]["spec"][0])
        return spec


class HereAndNow:
    """A pool that computes at once."""

    async def run(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


def renderer(triton: Any, options: SdxlOptions = OPTIONS, objects: Any = None) -> SdxlRenderer:
    """Return one that draws shots without options with ``options``."""
    choose, objects, pool = SdxlChoice(SETTINGS), objects or InMemoryObjectStore(), HereAndNow()
    choose.service = options
    composer = PrevizRenderer(triton, objects, "previz-1.2.0")
    clock: Any = SetClock(NOW)
    return SdxlRenderer(triton, composer, choose, objects=objects, pool=pool, clock=clock, version="1")


def alone(**changes: Any) -> Job:
    return replace(job_in(RENDERING), characters=(), location=None, **changes)


async def rendered(triton: ScriptedTriton, job: Job | None = None, **made: Any) -> list[Any]:
    task = RenderTask(PROJECT, job or alone(), 600.0)
    return [update async for update in renderer(triton, **made).render(task)]


async def cast(*names: str) -> tuple[InMemoryObjectStore, tuple[str, ...]]:
    """Characters, each with a cut-out that holds its name, but for those in capitals."""
    objects = InMemoryObjectStore()
    characters = [Character(id=name, name=name) for name in names]
    for character in characters:
        if not character.name.isupper():
            stored = await objects.put(f"film/mattes/{character.name}", character.name.encode(), "image/png")
            character.figure.key = stored.key
    return objects, tuple(map(closed, characters))


async def test_steps_come_as_they_are_taken_and_the_picture_last_with_its_manifest() -> None:
    step, picture = await rendered(ScriptedTriton(STEP, PICTURE))
    assert step == Step(1, 20, b"jpeg")
    assert isinstance(picture, Picture)
    assert picture.manifest == b'{"seed": 7}'
    assert picture.pixels is DRAWN


async def test_the_engine_reads_what_it_is_sent() -> None:
    triton = ScriptedTriton(PICTURE)
    job = alone(**SIZE, priority=90)
    await rendered(triton, replace(job, prompt=replace(PROMPT, seed=2**32 + 5)))
    request = parse(triton.asked["sdxl"]["spec"][0])
    assert (request.id, request.project, request.priority) == (job.id, PROJECT, 90)
    assert (request.checkpoint, request.prompt, request.negative, request.seed) == (
        "sdxl-tiny",
        PROMPT.text,
        PROMPT.negative,
        5,
    )
    assert (request.width_px, request.height_px, request.steps, request.guidance) == (640, 360, 20, 6.0)
    assert (request.sampler, request.schedule, request.preview_every) == ("dpmpp-2m", "karras", 5)
    assert request.extra == {"layout": "previz 1.2.0"}
    assert triton.options["priority"] == 90


async def test_the_previz_frame_goes_along_as_a_png() -> None:
    triton = ScriptedTriton(PICTURE)
    await rendered(triton)
    layout = cv2.imdecode(np.frombuffer(triton.asked["sdxl"]["layout"][0], np.uint8), cv2.IMREAD_COLOR)
    assert layout.shape == (HEIGHT, WIDTH, 3)
    assert tuple(layout[0, 0]) == (30, 20, 10)  # OpenCV reads BGR
    assert triton.spec()["layout"] == {"kind": "img2img", "scale": 0.5}


async def test_without_a_layout_and_references_nobody_draws_a_frame() -> None:
    triton = ScriptedTriton(PICTURE)
    await rendered(triton, options=replace(OPTIONS, layout_strength=0, adapter=None))
    assert triton.asked.keys() == {"sdxl"}
    assert triton.asked["sdxl"].keys() == {"spec"}
    assert "layout" not in triton.spec()


async def test_people_whose_faces_are_seen_go_along_each_with_a_mask() -> None:
    objects, characters = await cast("ward", "REYES", "adams", "hidden")
    triton = ScriptedTriton(PICTURE, seen=masks(0.25, 0.5, 0.5, 0))
    await rendered(triton, replace(alone(), characters=characters), objects=objects)
    assert list(triton.asked["sdxl"]["references"]) == [b"ward", b"adams"]
    sent = [cv2.imdecode(np.frombuffer(each, np.uint8), -1) for each in triton.asked["sdxl"]["reference_masks"]]
    assert [each.mean() / 255 for each in sent] == pytest.approx([0.25, 0.5])
    assert triton.spec()["references"] == [
        {"picture": number, "mask": number, "scale": 0.6, "adapter": "tiny-adapter"} for number in (0, 1)
    ]


async def test_without_an_adapter_no_references_are_sent() -> None:
    objects, characters = await cast("ward")
    triton = ScriptedTriton(PICTURE, seen=masks(0.5))
    job = replace(alone(), characters=characters)
    await rendered(triton, job, objects=objects, options=replace(OPTIONS, adapter=None))
    assert triton.asked["sdxl"].keys() == {"spec", "layout"}


def test_of_many_people_the_four_who_fill_most_go_along_in_their_order() -> None:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    guides = encode_guides(frame, masks(0.1, 0.9, 0.2, 0.3, 0.4, 0.05), [b"a", b"b", b"c", b"d", b"e", b"f"])
    assert guides.references == (b"b", b"c", b"d", b"e")


@pytest.mark.parametrize(
    ("expire_time", "state", "deadline_s"),
    [
        (None, RENDERING, None),
        (NOW + 5_000, RENDERING, 5_000),
        (NOW + 30, RENDERING, 30),
        (NOW - 1, RENDERING, 1),
        (NOW + 1e9, RENDERING, 604_800),
        (NOW + 30, SUCCEEDED, None),
    ],
)
async def test_only_what_a_job_has_left_to_live_is_its_deadline(
    expire_time: float | None, state: str, deadline_s: float | None
) -> None:
    triton = ScriptedTriton(PICTURE)
    await rendered(triton, alone(**SIZE, expire_time=expire_time, state=state))
    assert triton.spec().get("deadline_s") == deadline_s
    assert parse(triton.asked["sdxl"]["spec"][0]).deadline_s == deadline_s


async def test_the_engine_is_asked_for_no_longer_than_what_is_left() -> None:
    triton = ScriptedTriton(PICTURE)
    assert [update async for update in renderer(triton).render(RenderTask(PROJECT, alone(), 30.0))]
    assert 25 < triton.options["timeout_s"] <= 30


@pytest.mark.parametrize(
    ("text", "reason", "retryable", "said"),
    [
        ("[refused] images: 0 is not acceptable", "ENGINE_REFUSED", False, "images: 0 is not"),
        ("[model] model 'x' cannot be used: gone", "MODEL_UNUSABLE", False, "gone"),
        ("[full] the engine is full", "ENGINE_FULL", True, "full"),
        ("[memory] decode: 5 bytes free", "OUT_OF_MEMORY", True, "5 bytes free; a smaller size or fewer references"),
        ("[picture] decode gave NaN", "NO_PICTURE", True, "NaN"),
        ("[crashed] the engine died over it 1 times", "RENDER_CRASHED", True, "1 times"),
        ("[cancelled] cancelled", "RENDERER_DOWN", True, "the engine stopped"),
        ("[fault] KeyError: 'x'", "ENGINE_FAULT", True, "KeyError"),
        ("[unheard-of] what\nnow", "RENDER_REFUSED", False, "unheard-of"),
        ("inference input 'image' data-type", "RENDER_REFUSED", False, "data-type"),
    ],
)
async def test_every_answer_of_the_engine_means_what_it_says(
    text: str, reason: str, retryable: bool, said: str
) -> None:
    with pytest.raises(ContinuityError) as caught:
        await rendered(ScriptedTriton(STEP, failure=RenderRefused("sdxl", text)))
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert said in str(caught.value)


async def test_a_full_engine_blames_nobody_and_a_request_that_killed_it_is_blamed() -> None:
    with pytest.raises(Full):
        await rendered(ScriptedTriton(failure=RenderRefused("sdxl", "[full] x")))
    with pytest.raises(RenderCrashed):
        await rendered(ScriptedTriton(failure=RenderRefused("sdxl", "[crashed] x")))


async def test_what_is_no_picture_is_tried_once_more_only() -> None:
    with pytest.raises(ContinuityError) as caught:
        await rendered(ScriptedTriton(failure=RenderRefused("sdxl", "[picture] NaN")), alone(attempts=1))
    assert not caught.value.retryable


async def test_a_triton_that_goes_away_is_a_renderer_that_is_down() -> None:
    with pytest.raises(RendererDown, match="gone"):
        await rendered(ScriptedTriton(STEP, failure=RendererUnavailable("sdxl", "gone")))


@pytest.mark.parametrize(
    ("engines", "asked", "ours"),
    [
        ("references", {}, "CONTINUITY_IDENTITY"),
        ("references[1].adapter", {"identity_strength": 0.3}, "CONTINUITY_IDENTITY"),
        ("layout", {}, "CONTINUITY_LAYOUT_GUIDE"),
        ("layout.kind", {"layout_strength": 0.3}, "CONTINUITY_LAYOUT_GUIDE"),
        ("layout", {"layout_guide": "nope"}, "layout_guide"),
        ("layout.scale", {"layout_strength": 0.3}, "layout_strength"),
        ("checkpoint", {}, "CONTINUITY_CHECKPOINT"),
        ("checkpoint", {"checkpoint": "nope"}, "checkpoint"),
        ("loras", {"checkpoint": "nope"}, "loras"),
        ("strength", {}, "source.strength"),
    ],
)
async def test_a_refusal_names_the_setting_or_the_option_that_somebody_has_set(
    engines: str, asked: dict[str, Any], ours: str
) -> None:
    refused = RenderRefused("sdxl", f"[refused] {engines}: 'nope' is not acceptable; layout: no")
    job = alone(shot=shot(options=RenderOptions(**asked)))
    with pytest.raises(EngineRefused) as error:
        await rendered(ScriptedTriton(failure=refused), job)
    assert error.value.detail == f"{ours}: 'nope' is not acceptable; layout: no"


@pytest.mark.parametrize("model", ["previz", "sdxl"])
async def test_it_is_up_when_both_models_are(model: str) -> None:
    triton = ScriptedTriton()
    await renderer(triton).check()
    triton.away = {model}
    with pytest.raises(RendererDown):
        await renderer(triton).check()


@pytest.mark.parametrize(
    "change",
    [{"steps": 21}, {"guidance": 5.0}, {"sampler": "euler"}, {"adapter": None}, {"layout_strength": 0.4}],
    ids=str,
)
def test_what_may_change_a_picture_changes_the_name(change: dict[str, Any]) -> None:
    assert renderer(ScriptedTriton(), replace(OPTIONS, **change)).name != renderer(ScriptedTriton()).name


def test_the_name_tells_engine_and_checkpoint_and_not_how_often_previews_come() -> None:
    name = renderer(ScriptedTriton()).name
    assert name.startswith("sdxl 1 sdxl-tiny ")
    assert renderer(ScriptedTriton(), replace(OPTIONS, preview_every=1)).name == name


async def asked_for(**settings: Any) -> RenderRequest:
    """Return how the engine reads a job's request under these settings."""
    triton = ScriptedTriton(PICTURE)
    await rendered(triton, alone(**SIZE), options=options_of(Settings(renderer="sdxl", identity="off", **settings)))
    return parse(triton.asked["sdxl"]["spec"][0])


def drawing(request: RenderRequest) -> tuple[str, str, int, float]:
    return request.sampler, request.schedule, request.steps, request.guidance


@pytest.mark.parametrize(
    ("settings", "drawn_with"),
    [
        ({}, ("dpmpp-2m", "karras", 20, 6.0)),
        ({"sampler": "lcm"}, ("lcm", "normal", 20, 6.0)),
        ({"sampler": "heun", "schedule": "karras"}, ("heun", "karras", 20, 6.0)),
        ({"checkpoint": "sdxl-turbo"}, ("euler-ancestral", "sgm-uniform", 2, 0.0)),
        ({"checkpoint": "sdxl-turbo", "layout_strength": 0}, ("euler-ancestral", "sgm-uniform", 1, 0.0)),
        ({"checkpoint": "sdxl-turbo", "layout_guide": "depth"}, ("euler-ancestral", "sgm-uniform", 1, 0.0)),
        ({"checkpoint": "sdxl-turbo", "steps": 4, "guidance": 0.5}, ("euler-ancestral", "sgm-uniform", 4, 0.5)),
        ({"checkpoint": "sdxl-lightning-8step"}, ("euler", "sgm-uniform", 8, 0.0)),
        ({"checkpoint": "sdxl-lightning", "sampler": "heun"}, ("heun", "normal", 4, 0.0)),
        ({"checkpoint": "lcm-dreamshaper", "schedule": "normal"}, ("lcm", "normal", 4, 1.0)),
    ],
    ids=str,
)
async def test_what_nobody_has_set_suits_the_checkpoint(settings: dict[str, Any], drawn_with: tuple[Any, ...]) -> None:
    assert drawing(await asked_for(**settings)) == drawn_with


async def test_what_a_checkpoint_of_few_steps_cannot_do_is_refused_where_somebody_has_set_it() -> None:
    with pytest.raises(Refused, match="sdxl-turbo is drawn in 1 to 4"):
        await asked_for(checkpoint="sdxl-turbo", steps=20)


@pytest.mark.parametrize("strength", [0.5, 0.9, 0.95, 0.96, 0.999, 1.0])
@pytest.mark.parametrize("checkpoint", ["sdxl", "sdxl-turbo", "sdxl-lightning", "lcm"])
async def test_however_much_of_the_layout_is_to_hold_a_step_is_taken(checkpoint: str, strength: float) -> None:
    request = await asked_for(checkpoint=checkpoint, layout_strength=strength)
    assert request.layout is not None
    assert 0 < request.layout.scale <= strength
    assert int(request.steps * (1.0 - request.layout.scale)) >= 1


def test_no_more_of_the_layout_is_given_up_than_a_step_takes(caplog: pytest.LogCaptureFixture) -> None:
    held = {
        steps: options_of(Settings(renderer="sdxl", steps=steps, layout_strength=1)).layout_strength
        for steps in range(1, 151)
    }
    assert all(1 <= int(steps * (1.0 - strength)) <= 1 + steps / 900 for steps, strength in held.items())
    assert held[1] == 0.0
    SdxlChoice(Settings(renderer="sdxl", steps=20, layout_strength=1)).tell()
    assert "CONTINUITY_LAYOUT_STRENGTH: 1 leaves none of 20 steps to be taken; it is 0.95" in caplog.messages
    assert options_of(Settings(steps=4, layout_strength=1, layout_guide="depth")).layout_strength == 1


def test_what_is_left_to_the_checkpoint_is_another_renderer_than_what_was_set() -> None:
    unset, euler = (options_of(Settings(checkpoint="sdxl-turbo", **given)) for given in ({}, {"sampler": "euler"}))
    assert unset.digest != euler.digest


def adapter_in(models: Path, name: str, text: str) -> None:
    (models / name).mkdir(parents=True)
    (models / name / "model.json").write_text(text)


def test_identity_is_kept_with_the_adapter_among_the_models_unless_told_otherwise(tmp_path: Path) -> None:
    adapter_in(tmp_path, "a-broken", "{")
    adapter_in(tmp_path, "b-list", "[]")
    adapter_in(tmp_path, "c-base", '{"kind": "checkpoint"}')
    assert options_of(Settings(renderer="sdxl", models=tmp_path)).adapter is None
    adapter_in(tmp_path, "faces", '{"kind": "ip-adapter"}')
    assert options_of(Settings(renderer="sdxl", models=tmp_path)).adapter == "faces"
    assert options_of(Settings(renderer="sdxl", models=tmp_path, identity="off")).adapter is None
    assert options_of(Settings(renderer="sdxl", models=tmp_path, identity="elsewhere")).adapter == "elsewhere"


def test_the_checkpoint_is_the_renderers_unless_it_is_named() -> None:
    assert options_of(Settings(renderer="sdxl")).checkpoint == "sdxl"
    assert options_of(Settings(renderer="sdxl", checkpoint="juggernaut")).checkpoint == "juggernaut"


@pytest.mark.parametrize(
    ("name", "together", "replicas", "had"),
    [
        ("previz", None, 3, (2, 0)),
        ("previz", 9, 3, (9, 0)),
        ("sdxl", None, 1, (2, 1)),
        ("sdxl", None, 2, (1, 1)),
        ("sdxl", 4, 1, (5, 1)),
        ("sdxl", 4, 2, (3, 1)),
        ("sdxl-tiny", 4, 9, (1, 1)),
    ],
)
def test_no_more_jobs_are_leased_than_the_engine_draws_together_one_ahead_and_an_urgent_one(
    name: Any, together: int | None, replicas: int, had: tuple[int, int]
) -> None:
    settings = Settings(renderer=name, render_slots=together, render_replicas=replicas)
    assert (settings.slots, settings.urgent_slots) == had
