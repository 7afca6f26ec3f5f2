"""Several pictures of one shot: drawn together, stored beside each other, found and verified one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from continuity.api.events.v1.render_events_pb2 import KeyframeRendered as KeyframeRenderedMessage
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1.render_service_pb2 import DownloadKeyframeRequest
from continuity.objects.memory import InMemoryObjectStore
from services.rendering.adapters.keyframe_files import StoredKeyframeFiles, TakeReferences, settings_of
from services.rendering.domain.errors import KeyframeMissing, RendererDown, TakeMissing
from services.rendering.domain.events import KeyframeRendered
from services.rendering.domain.job import READY, RENDERING, SUCCEEDED, Job
from services.rendering.domain.keyframe import Keyframe
from services.rendering.domain.lease import rendered
from services.rendering.domain.render_options import RenderOptions
from services.rendering.domain.takes import take_of
from services.rendering.entrypoints.mapping import CODEC, job_message
from services.rendering.handlers.find_jobs import FindJobs
from services.rendering.handlers.ports import Picture, RenderTask
from tests.unit.rendering.builders import KEYFRAME, PROJECT, PROMPT, TOKEN, after, job_in, shot
from tests.unit.rendering.fakes import InMemoryFiles, InMemoryJobs
from tests.unit.rendering.test_render_jobs import Studio, ready

OTHERS = tuple(replace(KEYFRAME, seed=PROMPT.seed + take) for take in (1, 2))


def done() -> Job:
    return after(rendered(job_in(RENDERING), TOKEN, [KEYFRAME, *OTHERS], 109.0))


class InThisProcess:
    async def run(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


async def test_every_take_is_stored_and_told_with_a_seed_of_its_own() -> None:
    studio = Studio(ready())
    studio.renderer.takes = 3
    assert await studio.render_next()
    job = studio.jobs.only()
    assert job.state == SUCCEEDED
    assert [take.seed for take in job.takes] == [7, 8, 9]
    pixels = [np.frombuffer(studio.files.keyframes[take.object.key], np.uint8)[0] for take in job.takes]
    assert pixels == [128, 129, 130]
    (event,) = studio.jobs.events
    assert isinstance(event, KeyframeRendered)
    assert (event.keyframe, event.takes) == (job.keyframe, job.takes)


async def test_a_renderer_that_goes_away_behind_the_first_take_leaves_the_job_to_another_attempt() -> None:
    studio = Studio(ready())
    draw = studio.renderer.render

    async def render(task: RenderTask) -> Any:
        async for update in draw(task):
            yield update
        raise RendererDown(cause="gone")

    studio.renderer.render = render  # type: ignore[method-assign]
    await studio.render_next()
    job = studio.jobs.only()
    assert (job.state, job.takes, job.last_failure and job.last_failure.reason) == (READY, (), "RENDERER_DOWN")


def test_the_message_of_a_job_has_every_take_and_of_one_from_before_there_were_takes_its_keyframe() -> None:
    message = job_message(done())
    assert [take.seed for take in message.takes] == [7, 8, 9]
    assert message.takes[0] == message.keyframe
    before = job_message(replace(done(), more_takes=()))
    assert list(before.takes) == [before.keyframe]
    assert not job_message(job_in(READY)).takes
    assert isinstance(message, job_pb2.Job)


def test_the_event_that_a_shot_is_rendered_names_the_takes() -> None:
    change = rendered(job_in(RENDERING), TOKEN, [KEYFRAME, *OTHERS], 109.0)
    assert change
    (event,) = CODEC.encode(PROJECT, change.events)
    told = KeyframeRenderedMessage.FromString(event.payload)
    assert [take.seed for take in told.takes] == [7, 8, 9]
    assert told.takes[0] == told.keyframe


@pytest.mark.parametrize("take", [0, 1, 2])
def test_a_take_is_found_by_its_number(take: int) -> None:
    assert take_of(done(), take).seed == PROMPT.seed + take


def test_a_take_that_is_none_and_one_of_a_job_without_a_keyframe_are_refused() -> None:
    with pytest.raises(TakeMissing, match="3 takes, from 0 on, and none is 3"):
        take_of(done(), 3)
    with pytest.raises(KeyframeMissing):
        take_of(job_in(READY), 0)


async def test_the_bytes_that_are_read_are_those_of_the_take() -> None:
    files = InMemoryFiles()
    second = replace(KEYFRAME, object=replace(KEYFRAME.object, key="film/keyframes/second.png"))
    job = replace(done(), more_takes=(second,))
    files.keyframes = {KEYFRAME.object.key: b"first", second.object.key: b"second"}
    find = FindJobs(InMemoryJobs(job), files)
    read = {take: b"".join([part async for part in find.keyframe(PROJECT, job.id, take)]) for take in (0, 1)}
    assert read == {0: b"first", 1: b"second"}
    assert DownloadKeyframeRequest(job_id=job.id).take == 0


async def stored_takes(files: StoredKeyframeFiles) -> list[Keyframe]:
    """Two takes of one job, as the worker stores them."""
    task = RenderTask(PROJECT, job_in(RENDERING), 60.0)
    pictures = [Picture(np.full((8, 16, 3), 50 * take, np.uint8), b"", take) for take in (0, 1)]
    first = await files.store(task, pictures[0], "fake 1")
    second = await files.store(task, pictures[1], "fake 1", first)
    return [replace(KEYFRAME, object=ref) for ref in (first, second)]


async def test_another_take_is_referred_to_for_as_long_as_the_keyframe_is() -> None:
    objects, pool = InMemoryObjectStore(), InThisProcess()
    first, second = await stored_takes(StoredKeyframeFiles(objects, pool))  # type: ignore[arg-type]
    stray = f"{PROJECT}/keyframes/{'e' * 64}.{'f' * 64}.png"
    keys = [first.object.key, second.object.key, stray]

    async def jobs_hold(asked: Sequence[str]) -> set[str]:
        return {first.object.key} & set(asked)

    async def nobody_holds(_: Sequence[str]) -> set[str]:
        return set()

    assert await TakeReferences(jobs_hold)(keys) == {first.object.key, second.object.key}
    assert await TakeReferences(nobody_holds)(keys) == set()


async def test_a_take_tells_its_own_seed() -> None:
    objects, pool = InMemoryObjectStore(), InThisProcess()
    files = StoredKeyframeFiles(objects, pool)  # type: ignore[arg-type]
    told = [await files.told_by(await files.read(each.object.key)) for each in await stored_takes(files)]
    assert [each.manifest["seed"] for each in told] == [PROMPT.seed, PROMPT.seed + 1]


@pytest.mark.parametrize("options", [None, RenderOptions(steps=3, images=2)], ids=["nothing", "something"])
async def test_what_only_the_engine_understands_changes_nothing_in_the_file_of_a_renderer_that_ignores_it(
    options: RenderOptions | None,
) -> None:
    task = RenderTask(PROJECT, job_in(RENDERING, shot(options=options)), 60.0)
    picture = Picture(np.zeros((8, 16, 3), np.uint8))
    assert settings_of(task, picture, "previz 1") == settings_of(
        RenderTask(PROJECT, job_in(RENDERING), 60.0), picture, "previz 1"
    )
    assert "options" not in settings_of(task, picture, "previz 1")["shot"]
