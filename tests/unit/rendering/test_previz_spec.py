from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.common.v1 import shot_pb2
from continuity.api.locations.v1.location_pb2 import Location
from continuity.api.vision.v1.analysis_pb2 import Observations
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.objects.memory import InMemoryObjectStore
from continuity.wire.conversion import closed
from previz.spec import MAX_JSON_BYTES, FrameSpec
from services.rendering.adapters.previz_renderer import TIMEOUT_S, PrevizRenderer, frame_spec
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.job import RENDERING
from services.rendering.handlers.ports import Picture, RenderTask, Step
from tests.unit.rendering.builders import PROJECT, PROMPT, job_in, shot

PAD = Location(
    name="Pad Nine",
    type=shot_pb2.LOCATION_TYPE_EXTERIOR,
    description="launch pad",
    time_of_day=shot_pb2.TIME_OF_DAY_GOLDEN_HOUR,
    weather=shot_pb2.WEATHER_RAIN,
)


def character(name: str, **seen: Any) -> Character:
    made = Character(id=f"id of {name}", name=name)
    made.analysis.observations.CopyFrom(Observations(**seen))
    return made


def read(job, characters=(), location=None) -> FrameSpec:
    return FrameSpec.from_json(json.dumps(frame_spec(job, list(characters), location)).encode())


def test_a_shot_is_mapped_word_for_word():
    job = job_in(
        RENDERING,
        shot(
            shot_type="two-shot",
            camera_angle="low-angle",
            composition="framed",
            lighting="low-key",
            mood="tense",
            style="noir",
            time_of_day="night",
            weather="snow",
            description="the clock stops",
        ),
    )
    spec = read(job, location=PAD)
    assert (spec.width_px, spec.height_px, spec.seed) == (256, 128, 7)
    assert (spec.shot_type, spec.camera_angle, spec.composition) == ("two-shot", "low-angle", "framed")
    assert (spec.lighting, spec.mood, spec.style) == ("low-key", "tense", "noir")
    assert (spec.time_of_day, spec.weather, spec.description) == ("night", "snow", "the clock stops")


def test_words_come_in_the_vocabularys_own_spelling():
    job = job_in(RENDERING, shot(composition="Thirds", style="film noir", mood="tense"))
    own = replace(PROMPT, words={"composition": "rule-of-thirds", "style": "noir"})
    spec = read(replace(job, prompt=own))
    assert (spec.composition, spec.style, spec.mood) == ("rule-of-thirds", "noir", "tense")


def test_what_the_shot_leaves_open_the_location_says():
    spec = read(job_in(RENDERING), location=PAD)
    assert (spec.time_of_day, spec.weather) == ("golden-hour", "rain")
    assert (spec.location.type, spec.location.name, spec.location.kind) == ("exterior", "Pad Nine", "launch pad")


def test_what_nobody_says_is_neutral():
    spec = read(job_in(RENDERING), location=Location(name="Hall", type=shot_pb2.LOCATION_TYPE_INTERIOR))
    assert (spec.time_of_day, spec.weather, spec.style) == ("noon", "clear", "cinematic")
    assert (spec.camera_angle, spec.composition) == ("eye-level", "rule-of-thirds")
    assert (spec.lighting, spec.mood) == ("natural", "neutral")


def test_a_shot_without_a_location_plays_in_a_neutral_studio():
    spec = read(job_in(RENDERING))
    assert (spec.location.type, spec.location.kind) == ("interior", "studio")


def test_people_keep_their_side_of_the_screen_whatever_their_order_in_the_shot():
    people = [character("ward"), character("Reyes"), character("Ångström")]
    orders = [
        {figure.name: figure.screen_order for figure in read(job_in(RENDERING), order).figures}
        for order in permutations(people)
    ]
    assert orders == [orders[0]] * len(orders)
    assert sorted(orders[0].values()) == [0, 1, 2]


@pytest.mark.parametrize(("known_m", "drawn_m"), [(1.52, 1.52), (0.0, 1.7), (0.1, 0.5), (4.8, 3.0)])
def test_people_are_as_tall_as_is_known_within_what_the_model_draws(known_m, drawn_m):
    ward = character("Ward")
    ward.height_m = known_m
    assert read(job_in(RENDERING), [ward]).figures[0].height_m == drawn_m


def test_two_people_keep_their_sides_when_a_third_leaves_the_shot():
    people = [character("Ward"), character("Reyes"), character("Adams")]
    three, two = (read(job_in(RENDERING), cast).figures for cast in (people, people[:2]))
    left_to_right = [
        [figure.name for figure in sorted(figures, key=lambda one: one.screen_order)] for figures in (three, two)
    ]
    assert [name for name in left_to_right[0] if name != "Adams"] == left_to_right[1]


def test_the_first_character_of_the_shot_is_its_first_figure():
    figures = read(job_in(RENDERING, shot(action="runs")), [character("Ward"), character("Adams")]).figures
    assert [figure.name for figure in figures] == ["Ward", "Adams"]
    assert {figure.action for figure in figures} == {"runs"}


def test_what_was_seen_of_a_character_reaches_its_figure():
    seen = {
        "face_box": {"x": 0.25, "y": 0.125, "width": 0.5, "height": 0.375},
        "facing": -0.5,
        "hair": {"name": "brown", "hex": "#402010"},
        "skin": {"name": "medium", "hex": "#c08060"},
        "clothing": [{"name": f"{index}", "hex": f"#0000{index:02x}"} for index in range(9)],
    }
    (figure,) = read(job_in(RENDERING), [character("Ward", **seen)]).figures
    assert (figure.face_box.x, figure.face_box.height, figure.facing) == (0.25, 0.375, -0.5)
    assert (figure.hair, figure.skin) == ((64, 32, 16), (192, 128, 96))
    assert figure.palette == tuple((0, 0, index) for index in range(6))


def test_a_character_that_nobody_has_looked_at_is_a_plain_figure():
    (figure,) = read(job_in(RENDERING), [Character(id="1", name="Ward")]).figures
    assert (figure.face_box, figure.palette) == (None, ())


def test_a_face_that_was_not_found_and_colours_that_are_unknown_are_left_out():
    unseen = character("Ward", skin={"name": "unknown"}, clothing=[{"name": "unknown", "hex": ""}])
    (figure,) = read(job_in(RENDERING), [unseen]).figures
    assert (figure.face_box, figure.palette, figure.skin) == (
        None,
        (),
        FrameSpec.from_json(b'{"figures":[{}]}').figures[0].skin,
    )


ENOUGH_S = 600.0


class ScriptedTriton:
    """Answers a stream with the given responses, then with the failure, and remembers what it was asked."""

    def __init__(self, *responses: Mapping[str, Any], failure: Exception | None = None) -> None:
        self.responses = responses
        self.failure = failure
        self.inputs: Mapping[str, Any] = {}
        self.timeout_s = 0.0
        self.read_to_the_end = False

    async def stream(self, model: Any, inputs: Mapping[str, Any], **options: Any) -> AsyncIterator[Mapping[str, Any]]:
        self.inputs, self.timeout_s = inputs, options["timeout_s"]
        for response in self.responses:
            yield response
        if self.failure:
            raise self.failure
        self.read_to_the_end = True


STEP = {"step": np.array([1]), "steps": np.array([2]), "preview": np.array([b"jpeg"], dtype=np.object_)}
IMAGE = {**STEP, "image": np.zeros((32, 64, 3), np.uint8)}


async def rendered(triton: ScriptedTriton, job=None, objects: InMemoryObjectStore | None = None) -> list[Any]:
    renderer = PrevizRenderer(triton, objects or InMemoryObjectStore(), "previz-1.0.0")  # type: ignore[arg-type]
    return [update async for update in renderer.render(RenderTask(PROJECT, job or alone(), ENOUGH_S))]


def alone(**changes: Any):
    return replace(job_in(RENDERING), characters=(), location=None, **changes)


async def test_steps_come_as_they_are_taken_and_the_picture_last():
    updates = await rendered(ScriptedTriton(STEP, IMAGE), alone())
    assert updates[0] == Step(1, 2, b"jpeg")
    assert isinstance(updates[1], Picture)


async def test_the_stream_is_read_to_its_end_before_the_picture_is_handed_on():
    triton = ScriptedTriton(STEP, IMAGE)
    renderer = PrevizRenderer(triton, InMemoryObjectStore(), "previz-1.0.0")  # type: ignore[arg-type]
    async for update in renderer.render(RenderTask(PROJECT, alone(), ENOUGH_S)):
        assert triton.read_to_the_end == isinstance(update, Picture)


@pytest.mark.parametrize(("left_s", "given_s"), [(7.5, 7.5), (ENOUGH_S, TIMEOUT_S)])
async def test_a_request_has_the_time_that_is_left_but_never_more_than_the_model_takes(left_s, given_s):
    triton = ScriptedTriton(IMAGE)
    renderer = PrevizRenderer(triton, InMemoryObjectStore(), "1")  # type: ignore[arg-type]
    assert [update async for update in renderer.render(RenderTask(PROJECT, alone(), left_s))]
    assert triton.timeout_s == given_s


async def test_a_triton_that_goes_away_is_a_renderer_that_is_down():
    with pytest.raises(RendererDown, match="gone"):
        await rendered(ScriptedTriton(STEP, failure=RendererUnavailable("previz", "gone")), alone())


async def test_a_refusal_of_the_model_reaches_the_caller_as_it_is():
    with pytest.raises(RenderRefused, match="no such shot"):
        await rendered(ScriptedTriton(failure=RenderRefused("previz", "no such shot")), alone())


async def test_figures_come_in_the_order_of_the_shot_and_one_without_a_figure_is_empty():
    objects = InMemoryObjectStore()
    figure = await objects.put("film/mattes/1", b"matte", "image/png")
    plate = await objects.put("film/characters/2", b"plate", "image/png")
    ward, reyes = Character(id="1", name="Ward"), Character(id="2", name="Reyes")
    ward.figure.key, place = figure.key, Location(name="Pad", type=shot_pb2.LOCATION_TYPE_EXTERIOR)
    place.picture.key = plate.key
    triton = ScriptedTriton(IMAGE)
    await rendered(triton, replace(alone(), characters=(closed(reyes), closed(ward)), location=closed(place)), objects)
    assert list(triton.inputs["mattes"]) == [b"", b"matte"]
    assert list(triton.inputs["plate"]) == [b"plate"]


async def test_a_shot_of_nobody_nowhere_sends_neither_mattes_nor_plate():
    triton = ScriptedTriton(IMAGE)
    await rendered(triton, alone())
    assert set(triton.inputs) == {"spec"}


async def test_the_longest_texts_in_any_script_fit_what_the_model_reads():
    longest = shot(description="🎬" * 2000, action="東" * 1000)
    people = [closed(Character(id=str(number), name=str(number) + "🎭" * 119)) for number in range(8)]
    place = Location(name="🏠" * 120, type=shot_pb2.LOCATION_TYPE_INTERIOR, description="🏠" * 2000)
    triton = ScriptedTriton(IMAGE)
    await rendered(triton, replace(alone(), shot=longest, characters=tuple(people), location=closed(place)))
    text = triton.inputs["spec"][0]
    assert len(text) <= MAX_JSON_BYTES
    assert len(FrameSpec.from_json(text).figures) == 8
