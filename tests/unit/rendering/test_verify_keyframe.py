"""Verifying with real files and a renderer that follows a script."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.kernel.errors import InvalidValue
from continuity.objects.memory import InMemoryObjectStore
from continuity.objects.port import ObjectDamaged, ObjectMissing
from continuity.wire.conversion import closed
from services.rendering.adapters.keyframe_files import StoredKeyframeFiles
from services.rendering.domain.errors import (
    AttemptTooLong,
    JobMissing,
    KeyframeMissing,
    PictureMissing,
    RenderCrashed,
    RendererDown,
    TakeMissing,
    TurnTooLate,
    VerificationsFull,
)
from services.rendering.domain.job import READY, RENDERING, SUCCEEDED, Job
from services.rendering.domain.keyframe import Keyframe, Prompt, StageTimings
from services.rendering.domain.verification import CANNOT, DIFFERENT, SAME, Verification
from services.rendering.handlers.ports import Picture, RenderTask, Step
from services.rendering.handlers.verify_keyframe import VerifyKeyframe
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.fakes import InMemoryJobs

LIMIT_S = 20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = b"IHDR" + struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 2, 0, 0, 0)
HUGE = SIGNATURE + struct.pack(">I", 13) + HEADER + struct.pack(">I", zlib.crc32(HEADER)) + bytes(100)
"""A picture of 3 TB, as its header says."""


class InThisProcess:
    """A pool that is none."""

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


class Painter:
    """Draws what the seed says; ``manifest`` is what it tells of itself, ``failure`` comes after the first step."""

    def __init__(self) -> None:
        self.name = "painter 1"
        self.manifest: dict[str, Any] = {}
        self.failure: Exception | None = None
        self.spoils = False
        self.ends_without_picture = False
        self.tasks: list[RenderTask] = []
        self.at_once = self.most_at_once = 0
        self.asked = self.starts_after = 0
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def check(self) -> None:
        self.asked += 1
        if self.asked <= self.starts_after:
            raise RendererDown(cause="it starts")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        self.tasks.append(task)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_begin.wait()
            yield Step(1, 2, b"")
            await self.may_go_on.wait()
            if self.failure:
                raise self.failure
            assert task.job.prompt
            pixels = np.random.default_rng(task.job.prompt.seed).integers(0, 256, (32, 64, 3), np.uint8)
            pixels[0, 0, 0] ^= self.spoils
            if not self.ends_without_picture:
                yield Picture(pixels, json.dumps(self.manifest).encode() if self.manifest else b"")
        finally:
            self.at_once -= 1


class Studio:
    """Keyframes that were drawn and stored, and what verifies them."""

    def __init__(self, **changes: Any) -> None:
        self.objects = InMemoryObjectStore()
        self.files = StoredKeyframeFiles(self.objects, InThisProcess())  # type: ignore[arg-type]
        self.painter = Painter()
        self.jobs = InMemoryJobs()
        self.verify = VerifyKeyframe(self.jobs, self.files, self.painter, **changes)

    async def drawn(self, job: Job | None = None) -> Job:
        """A job whose keyframe was drawn by this painter."""
        job = job or job_in(RENDERING, priority=90)
        task = RenderTask(PROJECT, job, 60.0)
        picture = [update async for update in self.painter.render(task)][-1]
        assert isinstance(picture, Picture)
        ref = await self.files.store(task, picture, self.painter.name)
        keyframe = Keyframe(ref, 64, 32, 7, self.painter.name, StageTimings())
        job = replace(job, state=SUCCEEDED, keyframe=keyframe, lease_token="")
        self.jobs.stored[PROJECT, job.id] = job
        self.painter.tasks.clear()
        return job

    async def verdict(self, job: Job) -> Verification:
        async with asyncio.timeout(LIMIT_S):
            *steps, last = [update async for update in self.verify(PROJECT, job.id)]
        assert all(isinstance(step, Step) for step in steps)
        assert isinstance(last, Verification)
        assert last.job_id == job.id
        return last


async def test_a_keyframe_that_comes_out_again_byte_for_byte_is_the_same() -> None:
    studio = Studio()
    job = await studio.drawn()
    stored = dict(studio.objects.objects)
    found = await studio.verdict(job)
    assert (found.verdict, found.differences, found.same_pixels) == (SAME, (), True)
    assert job.keyframe
    assert found.stored_sha256 == found.drawn_sha256 == job.keyframe.object.sha256
    assert studio.objects.objects == stored, "nothing is stored"
    assert studio.jobs.only() == job, "the job is left alone"
    assert not studio.jobs.events


async def test_steps_are_told_while_it_is_drawn() -> None:
    studio = Studio()
    job = await studio.drawn()
    async with aclosing(studio.verify(PROJECT, job.id)) as updates:
        assert await anext(updates) == Step(1, 2, b"")


async def test_it_is_drawn_with_the_lowest_priority_from_what_is_frozen_in_the_job() -> None:
    studio = Studio()
    job = await studio.drawn()
    await studio.verdict(job)
    (task,) = studio.painter.tasks
    assert task.job == replace(job, priority=0)


async def test_one_bit_of_one_pixel_is_found() -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.spoils = True
    found = await studio.verdict(job)
    assert (found.verdict, found.same_pixels) == (DIFFERENT, False)
    (told,) = found.differences
    assert told.startswith("pixels: ")
    assert found.stored_sha256 != found.drawn_sha256


async def test_the_same_pixels_in_another_encoding_are_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    job = await studio.drawn()
    monkeypatch.setattr("services.rendering.adapters.png.COMPRESSION_LEVEL", 9)
    found = await studio.verdict(job)
    assert (found.verdict, found.same_pixels) == (DIFFERENT, True)
    assert found.differences == ("file: the pixels are the same, their encoding is not",)


@pytest.mark.parametrize("same_pixels", [True, False])
async def test_another_version_of_the_renderer_is_named_and_whether_it_draws_the_same(same_pixels: bool) -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.name = "painter 2"
    studio.painter.spoils = not same_pixels
    found = await studio.verdict(job)
    assert (found.verdict, found.differences) == (CANNOT, ("renderer: painter 1 -> painter 2",))
    assert found.same_pixels == same_pixels


async def test_another_kind_of_renderer_is_named_and_nothing_is_drawn() -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.name = "sculptor 1"
    found = await studio.verdict(job)
    assert (found.verdict, found.differences) == (CANNOT, ("renderer: painter 1 -> sculptor 1",))
    assert not studio.painter.tasks
    assert found.drawn_sha256 == ""


async def test_what_differs_between_the_renderers_own_manifests_is_named() -> None:
    studio = Studio()
    studio.painter.manifest = {"device": {"name": "CPU", "torch": "2.11"}, "weights": ["a", "b"], "pixels_sha256": "1"}
    job = await studio.drawn()
    studio.painter.manifest = {"device": {"name": "H200", "torch": "2.11"}, "weights": ["a", "c"], "pixels_sha256": "2"}
    found = await studio.verdict(job)
    assert found.verdict == CANNOT
    assert found.differences == ("engine.device.name: CPU -> H200", "engine.weights[1]: b -> c")


async def test_that_only_the_picture_differs_is_no_input() -> None:
    studio = Studio()
    studio.painter.manifest = {"weights": "a", "pixels_sha256": "1"}
    job = await studio.drawn()
    studio.painter.manifest = {"weights": "a", "pixels_sha256": "2"}
    studio.painter.spoils = True
    found = await studio.verdict(job)
    assert found.verdict == DIFFERENT
    assert "pixels: " in found.differences[0]


async def test_a_job_that_was_changed_behind_its_file_is_found_out_by_name() -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.jobs.stored[PROJECT, job.id] = replace(
        job, prompt=Prompt("Ward smiles", "blurry", 7), shot=shot(style="noir")
    )
    found = await studio.verdict(job)
    assert found.verdict == CANNOT
    assert found.differences == ("prompt: a close-up of Ward -> Ward smiles", "shot.style:  -> noir")


@pytest.mark.parametrize("error", [ObjectDamaged, ObjectMissing])
async def test_a_stored_file_that_is_no_longer_what_was_stored_is_different_and_can_be_had_again(error: type) -> None:
    studio = Studio()
    job = await studio.drawn()

    async def get(key: str) -> bytes:
        raise error(key=key)

    studio.objects.get = get  # type: ignore[method-assign]
    found = await studio.verdict(job)
    assert (found.verdict, found.stored_sha256) == (DIFFERENT, "")
    assert job.keyframe
    assert found.drawn_sha256 == job.keyframe.object.sha256
    assert found.differences[0].startswith(f"stored file: object {job.keyframe.object.key} ")
    assert found.differences[1] == "drawn anew it is the file that was rendered at first"


@pytest.mark.parametrize("content", [b"", b"no picture", SIGNATURE, SIGNATURE + b"\xff\xff\xff\xffiTXt", HUGE])
async def test_a_stored_file_that_is_no_keyframe_is_different(content: bytes) -> None:
    studio = Studio()
    job = await studio.drawn()
    assert job.keyframe
    await studio.objects.put(job.keyframe.object.key, content, "image/png")
    found = await studio.verdict(job)
    assert found.verdict == DIFFERENT
    assert found.differences[0].startswith("stored file: the stored keyframe cannot be read: ")


async def test_a_figure_that_was_deleted_with_its_character_is_named() -> None:
    studio = Studio()
    ward = Character(id="ward", name="Ward", figure={"key": "film/figures/abc123.png", "sha256": "abc123"})
    job = await studio.drawn(replace(job_in(RENDERING), characters=(closed(ward),)))
    studio.painter.failure = ObjectMissing(key="film/figures/abc123.png")
    found = await studio.verdict(job)
    assert found.verdict == CANNOT
    assert found.differences == ("input: object film/figures/abc123.png does not exist; it was the figure of 'Ward'",)


@pytest.mark.parametrize(
    "failure", [InvalidValue(field="steps", value=0, limit="1 to 150"), RenderCrashed(detail="once")]
)
async def test_why_the_renderer_will_not_draw_it_is_told(failure: Exception) -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.failure = failure
    found = await studio.verdict(job)
    assert (found.verdict, found.differences) == (CANNOT, (f"renderer: {failure}",))


async def test_a_renderer_that_is_away_is_an_error_and_no_verdict() -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.failure = RendererDown(cause="it is off")
    with pytest.raises(RendererDown):
        await studio.verdict(job)
    studio.painter.failure = None
    studio.painter.ends_without_picture = True
    with pytest.raises(PictureMissing):
        await studio.verdict(job)


async def test_a_renderer_that_is_about_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.rendering.handlers.verify_keyframe.LOOK_S", 0.0)
    studio = Studio()
    job = await studio.drawn()
    studio.painter.starts_after = 3
    assert (await studio.verdict(job)).verdict == SAME
    assert studio.painter.asked == 4


async def test_a_renderer_that_does_not_start_is_waited_for_within_a_limit() -> None:
    studio = Studio(patience_s=0.0)
    job = await studio.drawn()
    studio.painter.starts_after = 1_000
    with pytest.raises(RendererDown):
        await studio.verdict(job)
    assert studio.verify.waiting == 0


async def test_a_job_without_a_keyframe_and_one_that_is_not_there_are_refused() -> None:
    studio = Studio()
    ready = job_in(READY)
    studio.jobs.stored[PROJECT, ready.id] = ready
    with pytest.raises(KeyframeMissing):
        await studio.verdict(ready)
    with pytest.raises(JobMissing):
        await studio.verdict(replace(ready, id="absent"))


async def test_a_keyframe_that_takes_too_long_is_given_up_and_the_next_has_its_turn() -> None:
    studio = Studio(draw_s=0.01)
    job = await studio.drawn()
    studio.painter.may_go_on.clear()
    with pytest.raises(AttemptTooLong):
        await studio.verdict(job)
    assert studio.painter.at_once == 0
    studio.painter.may_go_on.set()
    studio.verify.draw_s = 60.0
    assert (await studio.verdict(job)).verdict == SAME


async def test_a_keyframe_whose_turn_does_not_come_is_given_up_and_the_next_has_its_turn() -> None:
    studio = Studio(wait_s=0.01)
    job = await studio.drawn()
    studio.painter.may_begin.clear()
    with pytest.raises(TurnTooLate):
        await studio.verdict(job)
    studio.painter.may_begin.set()
    studio.verify.wait_s = 60.0
    assert (await studio.verdict(job)).verdict == SAME


async def test_a_renderer_that_is_only_started_when_it_is_needed_is_started() -> None:
    def start() -> bool:
        studio.painter.starts_after = 0
        return True

    studio = Studio(start_renderer=start)
    job = await studio.drawn()
    studio.painter.starts_after = 1_000_000
    assert (await studio.verdict(job)).verdict == SAME


async def test_a_renderer_that_cannot_be_started_is_not_waited_for() -> None:
    studio = Studio(start_renderer=lambda: False)
    job = await studio.drawn()
    studio.painter.starts_after = 1_000_000
    with pytest.raises(RendererDown, match="not installed"):
        await studio.verdict(job)
    assert studio.painter.asked == 1


async def test_many_at_once_are_drawn_one_after_another() -> None:
    studio = Studio()
    jobs = [await studio.drawn(job_in(RENDERING, id=str(number))) for number in range(4)]
    found = await asyncio.gather(*map(studio.verdict, jobs))
    assert [each.verdict for each in found] == [SAME] * 4
    assert studio.painter.most_at_once == 1


async def test_who_comes_when_too_many_wait_is_told_to_come_again() -> None:
    studio = Studio(max_waiting=2)
    job = await studio.drawn()
    studio.painter.may_go_on.clear()
    waiting = [asyncio.create_task(studio.verdict(job)) for _ in range(2)]
    while not studio.painter.tasks:
        await asyncio.sleep(0)
    with pytest.raises(VerificationsFull):
        await studio.verdict(job)
    studio.painter.may_go_on.set()
    await asyncio.gather(*waiting)
    assert (await studio.verdict(job)).verdict == SAME


async def test_who_goes_away_stops_the_renderer_and_leaves_the_turn_to_the_next() -> None:
    studio = Studio()
    job = await studio.drawn()
    studio.painter.may_go_on.clear()
    gone = asyncio.create_task(studio.verdict(job))
    while not studio.painter.tasks:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert studio.painter.at_once == studio.verify.waiting == 0
    studio.painter.may_go_on.set()
    assert (await studio.verdict(job)).verdict == SAME


async def test_another_take_is_drawn_alone_and_compared_with_its_own_file() -> None:
    studio = Studio()
    job = await studio.drawn()
    task = RenderTask(PROJECT, job, 60.0)
    picture = Picture(np.full((32, 64, 3), 9, np.uint8), b"", 1)
    assert job.keyframe
    second = replace(job.keyframe, object=await studio.files.store(task, picture, "painter 1", job.keyframe.object))
    job = replace(job, more_takes=(second,))
    studio.jobs.stored[PROJECT, job.id] = job
    found = [update async for update in studio.verify(PROJECT, job.id, 1)][-1]
    assert isinstance(found, Verification)
    assert (found.verdict, found.stored_sha256) == (CANNOT, second.object.sha256), "the painter drew the first one"
    assert found.differences == ("seed: 8 -> 7",)
    assert [task.take for task in studio.painter.tasks] == [1]


async def test_a_take_that_there_is_none_of_is_refused() -> None:
    studio = Studio()
    job = await studio.drawn()
    with pytest.raises(TakeMissing):
        _ = [update async for update in studio.verify(PROJECT, job.id, 1)]
