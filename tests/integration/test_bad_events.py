"""Records that no service of ours has sent, or that come again and in another order, on a real Kafka."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from continuity.api.events.v1.analysis_events_pb2 import CharacterAnalyzed
from continuity.api.events.v1.prompt_events_pb2 import PromptBuilt
from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
from continuity.api.operations.v1.dead_letter_pb2 import DeadLetter
from continuity.api.prompts.v1.prompt_pb2 import Prompt
from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.api.vision.v1.analysis_pb2 import Analysis
from continuity.client import ContinuityClient
from continuity.client.dead_letters import CONSUMERS
from continuity.kernel.ids import new_id
from continuity.messaging.envelope import MAX_EVENT_BYTES
from continuity.messaging.topics import load_topics
from tests.e2e import film
from tests.integration.conftest import Studio
from tests.integration.health import until_not_serving
from tests.integration.topics import Letter, everything, forget, lag, remove, send

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 90.0
RENDER, PROMPT, ANALYSIS = "continuity.render.v1", "continuity.prompt.v1", "continuity.analysis.v1"
TOPICS = {name: topic for name, topic in load_topics().items() if topic.dead_letter}
ENVELOPE = {
    "ce_specversion": "1.0",
    "ce_id": "",
    "ce_source": "continuity/elsewhere",
    "ce_type": "film.continuity.PromptBuilt",
    "ce_subject": "nobody",
    "ce_project": "default",
}


def letter(topic: str, value: bytes, **headers: str) -> Letter:
    """Return a record with the envelope of an event, changed where ``headers`` say so."""
    told = {**ENVELOPE, "ce_id": new_id(), **headers}
    return Letter(topic, value, b"nobody", tuple((name, text.encode()) for name, text in told.items() if text))


async def at(studio: Studio, *letters: Letter) -> None:
    await asyncio.to_thread(send, studio.kafka.address, letters)


async def dead(client: ContinuityClient, consumer: str) -> list[DeadLetter]:
    return [each async for each in client.dead_letters.list(consumer)]


async def until_dead(client: ContinuityClient, consumer: str, count: int) -> list[DeadLetter]:
    async with asyncio.timeout(LIMIT_S):
        while len(letters := await dead(client, consumer)) < count:
            await asyncio.sleep(0.2)
    return letters


async def all_acknowledged(studio: Studio) -> None:
    """Return when every group has acknowledged all that lies on its topics."""
    async with asyncio.timeout(LIMIT_S):
        for group in CONSUMERS:
            topics = [name for name, topic in TOPICS.items() if group in topic.consumers]
            while await asyncio.to_thread(lag, studio.kafka.address, group, topics):
                await asyncio.sleep(0.2)


async def made(client: ContinuityClient, shots: int = 2) -> list[str]:
    """Make a small film; return the ids of its jobs."""
    submission = await film.submit(client, film.shots(*await film.cast(client), shots), "made")
    return await succeeded(client, submission.submission_id)


async def succeeded(client: ContinuityClient, submission_id: str) -> list[str]:
    async with asyncio.timeout(LIMIT_S):
        jobs = await film.finished(client, submission_id)
    assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}, jobs
    return list(jobs)


@pytest.fixture(autouse=True)
async def no_letters_left(client: ContinuityClient) -> AsyncIterator[None]:
    """Drop what a test has made."""
    yield
    for consumer in CONSUMERS:
        for each in await dead(client, consumer):
            await client.dead_letters.drop(consumer, each.id)


async def test_poison_is_put_aside_by_every_consumer_and_the_film_is_made(
    studio: Studio, client: ContinuityClient
) -> None:
    poison = [
        each
        for topic in TOPICS
        for each in (
            Letter(topic, os.urandom(512), b"nobody"),
            letter(topic, b"", ce_project=""),
            Letter(topic, b"x" * (MAX_EVENT_BYTES + 1)),
            Letter(topic, b"x", b"\xff\xfe", (("ce_id", b"\xff\xfe"), ("ce_type", None))),
        )
    ]
    await at(studio, *poison)
    await made(client)
    for consumer in CONSUMERS:
        consumed = sum(consumer in topic.consumers for topic in TOPICS.values())
        letters = await until_dead(client, consumer, 4 * consumed)
        assert len(letters) == 4 * consumed
        assert {each.failure.reason for each in letters} == {"EVENT_MALFORMED"}


async def test_ten_megabytes_do_not_even_reach_a_topic(studio: Studio) -> None:
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
        await at(studio, Letter(RENDER, b"x" * 10_000_000))


async def test_types_and_fields_of_a_later_version_are_skipped(studio: Studio, client: ContinuityClient) -> None:
    later = letter(PROMPT, os.urandom(64), ce_type="film.continuity.PromptDreamt", ce_dataschema="continuity/v9")
    envelope = letter(PROMPT, os.urandom(64), ce_specversion="2.0")
    await at(studio, later, envelope)
    await made(client)
    await all_acknowledged(studio)
    assert await dead(client, "rendering") == []


async def test_events_of_what_does_not_exist_are_put_aside_after_a_while(
    studio: Studio, client: ContinuityClient
) -> None:
    nobody = new_id()
    await at(
        studio,
        letter(PROMPT, PromptBuilt(job_id=nobody, prompt=Prompt()).SerializeToString()),
        letter(
            ANALYSIS,
            CharacterAnalyzed(character_id=nobody, analysis=Analysis()).SerializeToString(),
            ce_type="film.continuity.CharacterAnalyzed",
        ),
    )
    (of_a_job,) = await until_dead(client, "rendering", 1)
    (of_a_character,) = await until_dead(client, "characters", 1)
    assert of_a_job.failure.reason == "JOB_MISSING"
    assert of_a_character.failure.reason == "CHARACTER_MISSING"
    published = await asyncio.to_thread(everything, studio.kafka.address, [TOPICS[PROMPT].dead_letter])
    (told,) = [each for each in published if each.said("dead-id") == of_a_job.id.removeprefix("rendering/")]
    assert told.said("dead-reason") == "JOB_MISSING"
    assert told.said("ce_source") == ENVELOPE["ce_source"]
    assert "JobMissing" in told.said("dead-stack")


async def test_events_that_come_again_and_backwards_change_nothing(studio: Studio, client: ContinuityClient) -> None:
    jobs = await made(client, shots=3)
    project = (await client.shots.get(jobs[0])).keyframe.object.key.split("/")[0]
    await all_acknowledged(studio)
    before = _documents(studio, project)
    read = partial(everything, studio.kafka.address, list(TOPICS))
    sent = [each for each in await asyncio.to_thread(read) if each.said("ce_project") == project]
    assert {each.topic for each in sent} == set(TOPICS)
    await at(studio, *reversed(sent))
    await all_acknowledged(studio)
    assert _documents(studio, project) == before
    ids = [each.said("ce_id") for each in await asyncio.to_thread(read) if each.said("ce_project") == project]
    assert sorted(ids) == sorted(2 * [each.said("ce_id") for each in sent]), "nothing followed from them"
    ends = {each.said("ce_subject") for each in sent if each.said("ce_type").endswith(KeyframeRendered.DESCRIPTOR.name)}
    assert ends == set(jobs)


async def test_a_group_that_begins_anew_rebuilds_what_it_knew(studio: Studio, client: ContinuityClient) -> None:
    wanted = film.shots(*await film.cast(client), 2)
    await made(client)
    await asyncio.to_thread(studio.services.halt, "rendering-1")
    studio.documents.drop_collection("cast")
    await asyncio.to_thread(forget, studio.kafka.address, "rendering")
    await asyncio.to_thread(studio.services.restart, "rendering-1")
    submission = await film.submit(client, wanted, "rebuilt")
    await succeeded(client, submission.submission_id)


async def test_a_topic_that_is_deleted_under_way_is_told_of_and_made_again(
    studio: Studio, client: ContinuityClient
) -> None:
    wanted = film.shots(*await film.cast(client), 2)
    prompts = studio.services.server("prompts-1")
    said = prompts.log.stat().st_size
    await asyncio.to_thread(remove, studio.kafka.address, PROMPT)
    submission = await film.submit(client, wanted, "waits")
    await until_not_serving(prompts.address, "continuity.broker")
    await succeeded(client, submission.submission_id)
    assert f"prompts: topic {PROMPT} does not exist" in prompts.log.read_text()[said:]


def _documents(studio: Studio, project: str) -> dict[str, list[dict[str, Any]]]:
    """Return the bodies of everything that the project has."""
    return {
        name: [found["body"] for found in studio.documents[name].find({"_id.p": project}).sort("_id.i")]
        for name in sorted(studio.documents.list_collection_names())
    }
