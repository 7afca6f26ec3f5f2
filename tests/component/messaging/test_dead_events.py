"""Every subscriber whose aggregate waits for an event: when that is given up, the aggregate is marked and goes on."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import Failure
from services.characters.adapters.stored_characters import CHARACTERS, StoredCharacters
from services.characters.domain.character import INGESTED, READY, Character
from services.characters.entrypoints.mapping import CODEC as CHARACTERS_CODEC
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.domain.job import FAILED, REQUESTED, Job
from services.rendering.entrypoints.mapping import CODEC as RENDERING_CODEC
from tests.component.messaging.test_idempotence import COLLECTIONS, PROJECT, SCENES, Scene, record

FAILURE = Failure("HANDLER_FAILED", "the handler broke: KeyError")
MUST_MARK = {
    "characters": {"continuity.matte.v1", "continuity.analysis.v1"},
    "vision": {"continuity.character.v1"},
    "matting": {"continuity.character.v1"},
    "prompts": {"continuity.render.v1"},
    "rendering": {"continuity.prompt.v1"},
}
"""The topics that a service's aggregates wait for. Shots whose cast was never told of end at their own deadline."""


@pytest_asyncio.fixture
async def scene(tmp_path) -> AsyncIterator[Scene]:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", COLLECTIONS).open()
    yield Scene(documents)
    await documents.close()


def of_type(events, name, key=None):
    return next(each for each in events if each.event().type == name and key in (None, each.event().subject))


@pytest.mark.parametrize("service", SCENES)
async def test_whatever_an_aggregate_waits_for_marks_it_when_it_is_given_up(service, scene):
    marked = set()
    for each in await SCENES[service](scene):
        before = await scene.outcome()
        await scene.handling.give_up(each, FAILURE)
        if await scene.outcome() != before:
            marked.add(each.topic)
    assert marked == MUST_MARK[service]


async def characters_of(scene):
    events = await SCENES["characters"](scene)
    return events, StoredCharacters(scene.aggregates(Character, CHARACTERS, CHARACTERS_CODEC))


async def test_a_character_whose_matte_cannot_be_taken_stands_as_it_was_photographed(scene):
    events, characters = await characters_of(scene)
    await scene.handling.give_up(of_type(events, "CharacterMatted"), FAILURE)
    half = await characters.get(PROJECT, "ward")
    assert (half.state, half.matting_failure) == (INGESTED, FAILURE)
    assert await scene.handling(of_type(events, "CharacterAnalyzed")) is None
    ward = await characters.get(PROJECT, "ward")
    assert (ward.state, ward.figure, ward.figure_source) == (READY, ward.picture, "fallback")
    assert ward.analysis_failure is None


async def test_a_character_whose_analysis_cannot_be_taken_is_ready_without_one(scene):
    events, characters = await characters_of(scene)
    await scene.handling.give_up(of_type(events, "CharacterAnalyzed"), FAILURE)
    assert await scene.handling(of_type(events, "CharacterMatted")) is None
    ward = await characters.get(PROJECT, "ward")
    assert (ward.state, ward.analysis, ward.analysis_failure) == (READY, None, FAILURE)
    assert ward.figure_source == "matte"


@pytest.mark.parametrize("name", ["PromptBuilt", "PromptFailed"])
async def test_a_job_whose_prompt_cannot_be_taken_fails_with_the_reason(scene, name):
    dead = of_type(await SCENES["rendering"](scene), name)
    jobs = StoredJobs(scene.aggregates(Job, JOBS, RENDERING_CODEC))
    assert (await jobs.get(PROJECT, dead.event().subject)).state == REQUESTED
    await scene.handling.give_up(dead, FAILURE)
    job = await jobs.get(PROJECT, dead.event().subject)
    assert (job.state, job.failure) == (FAILED, FAILURE)


@pytest.mark.parametrize("service", ["characters", "rendering"])
async def test_an_aggregate_that_went_on_otherwise_is_left_as_it_is(service, scene):
    events = await SCENES[service](scene)
    for each in events:
        assert await scene.handling(each) is None
    before = await scene.outcome()
    for each in events:
        again = record(each.topic, each.event().subject, type_of(scene, each)())
        await scene.handling.give_up(again, FAILURE)
    assert await scene.outcome() == before


@pytest.mark.parametrize("service", ["characters", "rendering"])
async def test_what_does_not_exist_needs_no_mark(service, scene):
    events = await SCENES[service](scene)
    before = await scene.outcome()
    for each in events:
        await scene.handling.give_up(record(each.topic, "nobody", type_of(scene, each)()), FAILURE)
    assert await scene.outcome() == before


def type_of(scene, each):
    """Return the event's message; one without content is another event, and hopeless."""
    message, _ = scene.handling._handlers[each.topic, each.event().type]
    return message
