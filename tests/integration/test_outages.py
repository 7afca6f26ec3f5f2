"""The way to a server is cut, hangs, is slow or resets connections while a film is made: the film is finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest

from continuity.api.common.v1.shot_pb2 import Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.client import CallFailed, ContinuityClient
from continuity.client.transport import Backoff
from deploy.local.servers.toxiproxy import Proxy
from tests.e2e import film
from tests.integration.conftest import Studio
from tests.integration.health import until_not_serving

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

OUTAGE_S = 12.0
"""Longer than a job's attempts and an event's first retries take together."""
LIMIT_S = 100.0
FAULTS: dict[str, Callable[[Proxy], None]] = {"cut": Proxy.cut, "hanging": Proxy.swallow, "resetting": Proxy.reset}


@pytest.fixture(autouse=True)
async def mended(studio: Studio) -> AsyncIterator[None]:
    """Leave every way as it was."""
    yield
    for way in studio.ways.values():
        way.mend()


async def succeeded(client: ContinuityClient, submission_id: str) -> list[Job]:
    async with asyncio.timeout(LIMIT_S):
        jobs = await film.finished(client, submission_id)
    assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}, [
        job.failure for job in jobs.values()
    ]
    return list(jobs.values())


async def unavailable(client: ContinuityClient, wanted: list[Shot]) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await film.submit(client, wanted, "refused")
    assert failed.value.status is grpc.StatusCode.UNAVAILABLE
    return failed.value


@pytest.mark.parametrize("server", ["kafka", "minio", "mongo"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_film_outlasts_a_server_that_cannot_be_reached(
    studio: Studio, client: ContinuityClient, server: str, fault: str
) -> None:
    wanted = film.shots(*await film.cast(client), 8)
    submission = await film.submit(client, wanted, "outage")
    FAULTS[fault](studio.ways[server])
    await asyncio.sleep(OUTAGE_S)
    studio.ways[server].mend()
    jobs = await succeeded(client, submission.submission_id)
    assert len(jobs) == 8
    assert (await client.shots.download(jobs[0])).startswith(b"\x89PNG")


async def test_a_film_is_made_over_slow_ways_to_every_server(studio: Studio, client: ContinuityClient) -> None:
    for way in studio.ways.values():
        way.slow(150, 100)
    submission = await film.submit(client, film.shots(*await film.cast(client), 4), "slow")
    assert len(await succeeded(client, submission.submission_id)) == 4


async def test_a_photograph_that_is_taken_in_while_the_events_are_away_becomes_a_character(
    studio: Studio, client: ContinuityClient
) -> None:
    studio.ways["kafka"].cut()
    photo = (film.PHOTOGRAPHS / "eileen_collins.png").read_bytes()
    character = await client.characters.create("Reyes", photo)
    submission = await film.submit(
        client,
        [Shot(scene_id="1", shot_number=1, shot_type=ShotType.SHOT_TYPE_WIDE, character_ids=[character.id])],
        "early",
    )
    studio.ways["kafka"].mend()
    await client.characters.until_ready(character.id)
    await succeeded(client, submission.submission_id)


async def test_without_its_documents_a_service_refuses_calls_says_so_and_comes_back(
    studio: Studio, client: ContinuityClient
) -> None:
    wanted = film.shots(*await film.cast(client), 1)
    address = studio.services.server("rendering-1").address
    studio.ways["mongo"].cut()
    await until_not_serving(address, "")
    async with ContinuityClient(address, backoff=Backoff(attempts=1)) as direct:
        assert (await unavailable(direct, wanted)).reason == "DOCUMENTS_UNAVAILABLE"
    studio.ways["mongo"].mend()
    submission = await film.submit(client, wanted, "again")
    await succeeded(client, submission.submission_id)


async def test_without_the_broker_calls_are_accepted_and_its_health_says_so(
    studio: Studio, client: ContinuityClient
) -> None:
    wanted = film.shots(*await film.cast(client), 2)
    studio.ways["kafka"].cut()
    await until_not_serving(studio.services.server("rendering-1").address, "continuity.broker")
    submission = await film.submit(client, wanted, "accepted")
    studio.ways["kafka"].mend()
    await succeeded(client, submission.submission_id)


async def test_a_service_that_starts_without_the_broker_serves_and_consumes_later(
    studio: Studio, client: ContinuityClient
) -> None:
    wanted = film.shots(*await film.cast(client), 2)
    studio.ways["kafka"].cut()
    for name in ("prompts-1", "rendering-1"):
        await asyncio.to_thread(studio.services.restart, name)
    submission = await film.submit(client, wanted, "started")
    studio.ways["kafka"].mend()
    await succeeded(client, submission.submission_id)


async def test_a_service_that_starts_without_its_documents_waits_for_them(
    studio: Studio, client: ContinuityClient
) -> None:
    submission = await film.submit(client, film.shots(*await film.cast(client), 4), "waits")
    prompts = studio.services.server("prompts-1")
    said = prompts.log.stat().st_size
    studio.ways["mongo"].cut()
    studio.services.kill("prompts-1")
    async with asyncio.timeout(LIMIT_S):
        while "waiting: the document store does not answer" not in prompts.log.read_text()[said:]:
            await asyncio.sleep(0.1)
    studio.ways["mongo"].mend()
    await succeeded(client, submission.submission_id)


async def test_without_its_objects_a_service_says_so_and_gives_them_later(
    studio: Studio, client: ContinuityClient
) -> None:
    submission = await film.submit(client, film.shots(*await film.cast(client), 1), "kept")
    (job,) = await succeeded(client, submission.submission_id)
    studio.ways["minio"].cut()
    with pytest.raises(CallFailed) as failed:
        await client.shots.download(job)
    assert (failed.value.status, failed.value.reason) == (grpc.StatusCode.UNAVAILABLE, "OBJECT_STORE_UNAVAILABLE")
    studio.ways["minio"].mend()
    assert (await client.shots.download(job)).startswith(b"\x89PNG")
