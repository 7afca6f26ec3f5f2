from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from continuity.api.characters.v1.character_pb2 import Character
from continuity.compute.pool import CpuPool
from continuity.objects.memory import InMemoryObjectStore
from continuity.wire.conversion import closed
from services.rendering.adapters.keyframe_files import StoredKeyframeFiles, settings_of
from services.rendering.adapters.parameters import parameters_text
from services.rendering.adapters.png import decode_keyframe, encode_keyframe, manifest_text
from services.rendering.domain.job import RENDERING, Job
from services.rendering.domain.keyframe import Prompt
from services.rendering.domain.render_options import RenderOptions
from services.rendering.handlers.ports import Picture, RenderTask
from tests.unit.rendering.builders import PROJECT, job_in, leased, shot

PIXELS = np.random.default_rng(7).integers(0, 256, (32, 64, 3), dtype=np.uint8)
RENDERER = "previz-1.0.0"


def drawn(prompt: str, negative: str = "blurry") -> Job:
    return replace(job_in(RENDERING), prompt=Prompt(prompt, negative, 4_294_967_295))


def settings(job: Job) -> dict:
    return settings_of(RenderTask(PROJECT, job, 60.0), Picture(PIXELS), RENDERER)


def encoded(job: Job) -> bytes:
    asked = settings(job)
    return encode_keyframe(PIXELS, {"parameters": parameters_text(asked), "continuity": manifest_text(asked)})


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def test_the_pixels_come_back_as_they_went_in():
    assert np.array_equal(np.asarray(opened(encoded(drawn("Ward")))), PIXELS)


def test_readers_of_a1111_find_prompt_negative_prompt_and_settings():
    lines = opened(encoded(drawn("close-up of Ward", "blurry"))).text["parameters"].split("\n")
    assert lines[:2] == ["close-up of Ward", "Negative prompt: blurry"]
    last = dict(pair.split(": ") for pair in lines[2].split(", "))
    assert (last["Seed"], last["Size"], last["Model"]) == ("4294967295", "64x32", RENDERER)


def test_a_keyframe_of_previz_tells_of_no_options():
    asking = replace(drawn("Ward"), shot=shot(options=RenderOptions(prompt="(red scarf:1.3)", steps=3)))
    assert encoded(asking) == encoded(drawn("Ward"))


def test_they_find_the_words_that_the_engine_has_drawn_with_where_it_tells():
    request = {"prompt": "Ward, (red scarf:1.3)", "negative": "blurry, [crowd]", "steps": 8}
    told = settings(drawn("Ward")) | {"engine": {"request": request}}
    lines = parameters_text({"renderer": RENDERER, **told}).split("\n")
    assert lines[:2] == ["Ward, (red scarf:1.3)", "Negative prompt: blurry, [crowd]"]


def test_the_manifest_holds_what_determines_the_picture():
    job = drawn("close-up of Ward")
    manifest = json.loads(opened(encoded(job)).text["continuity"])
    assert manifest["prompt"] == "close-up of Ward"
    assert (manifest["seed"], manifest["renderer"]) == (4_294_967_295, RENDERER)
    assert (manifest["width_px"], manifest["height_px"]) == (64, 32)
    assert manifest["shot"]["scene_id"] == "1"
    assert manifest["shot"]["description"] == "Ward looks up"
    assert [character["name"] for character in manifest["characters"]] == ["Ward"]
    assert manifest["location"]["name"] == "Pad Nine"


@pytest.mark.parametrize(
    "prompt",
    [
        "Żółw, 東京の夜, 🎬 with a façade",
        "first line\nsecond line\r\nthird",
        "x" * 200_000,
        "",
        'a "quoted" \\ (word:1.3)',
    ],
    ids=["unicode", "newlines", "long", "empty", "quotes"],
)
def test_every_prompt_is_read_back_as_it_was(prompt):
    texts = opened(encoded(drawn(prompt, prompt))).text
    manifest = json.loads(texts["continuity"])
    assert (manifest["prompt"], manifest["negative_prompt"]) == (prompt, prompt)
    assert texts["parameters"].startswith(f"{prompt}\nNegative prompt: {prompt}\n")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
def test_any_text_makes_a_file_that_opens(text):
    assert json.loads(opened(encoded(drawn(text))).text["continuity"])["prompt"] == text


def test_the_same_picture_and_settings_are_the_same_file_whichever_job_made_it_and_when():
    job = drawn("Ward")
    another = replace(job, id="another", submission_id="another", create_time=9e9, attempts=2, queue_key=1)
    assert encoded(leased(another, "other", 8e9)) == encoded(job)
    assert not [id for id in (job.id, job.submission_id, job.lease_token) if id.encode() in encoded(job)]


def test_the_same_shot_of_the_same_people_is_the_same_file_though_their_ids_differ():
    ward = closed(Character(id="another", name="Ward", version=9))
    job = replace(drawn("Ward"), shot=shot(character_ids=("ward",)))
    another = replace(job, shot=shot(character_ids=("another",)), characters=(ward,))
    assert encoded(another) == encoded(job)


@pytest.mark.parametrize(
    "change",
    [{"prompt": Prompt("Reyes", "", 1)}, {"shot": shot(style="noir")}, {"characters": ()}, {"location": None}],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_another_file(change):
    assert encoded(replace(drawn("Ward"), **change)) != encoded(drawn("Ward"))


def test_what_the_renderer_tells_of_itself_stands_in_the_manifest():
    job = drawn("Ward")
    told = settings_of(RenderTask(PROJECT, job, 60.0), Picture(PIXELS, b'{"weights": "ab"}'), RENDERER)
    assert told == settings(job) | {"engine": {"weights": "ab"}}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
def test_a_file_is_read_back_whatever_its_texts(text):
    texts = {"parameters": text, "continuity": text * 2}
    pixels, read = decode_keyframe(encode_keyframe(PIXELS, texts))
    assert np.array_equal(pixels, PIXELS)
    assert read == texts


async def test_a_keyframe_is_stored_once_under_the_hash_of_its_bytes():
    objects, pool = InMemoryObjectStore(), CpuPool(1, max_waiting=4, timeout_s=60)
    files = StoredKeyframeFiles(objects, pool)
    try:
        job = drawn("Ward")
        first = await files.store(RenderTask(PROJECT, job, 60.0), Picture(PIXELS), RENDERER)
        again = await files.store(RenderTask(PROJECT, replace(job, id="another"), 60.0), Picture(PIXELS), RENDERER)
    finally:
        await pool.close()
    assert first == again
    assert first.key == f"{PROJECT}/keyframes/{first.sha256}.png"
    assert list(objects.objects) == [first.key]
    assert await files.read(first.key) == encoded(job)
