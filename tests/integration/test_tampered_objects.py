"""Somebody has changed bytes in the object store behind the services' back."""

from __future__ import annotations

import asyncio
import io

import grpc
import pytest

from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.client import CallFailed, ContinuityClient
from tests.e2e import film
from tests.integration.conftest import BUCKET, Studio

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 90.0
OTHERS = b"these are somebody else's bytes"


def tamper(studio: Studio, key: str) -> None:
    """Put other bytes there, and leave what the store notes of an object as it was."""
    noted = studio.objects.stat_object(BUCKET, key)
    told = {
        name.removeprefix("x-amz-meta-"): value
        for name, value in (noted.metadata or {}).items()
        if name.startswith("x-amz-meta-")
    }
    studio.objects.put_object(BUCKET, key, io.BytesIO(OTHERS), len(OTHERS), noted.content_type or "", dict(told))


async def rendered(client: ContinuityClient, character_id: str, location_id: str, request_id: str) -> Job:
    submission = await film.submit(client, film.shots(character_id, location_id, 1), request_id)
    async with asyncio.timeout(LIMIT_S):
        (job,) = (await film.finished(client, submission.submission_id)).values()
    return job


async def test_a_keyframe_that_was_tampered_with_is_not_given_out_and_made_again_on_request(
    studio: Studio, client: ContinuityClient
) -> None:
    cast = await film.cast(client)
    job = await rendered(client, *cast, "first")
    await asyncio.to_thread(tamper, studio, job.keyframe.object.key)
    with pytest.raises(CallFailed, match="is damaged") as failed:
        await client.shots.download(job)
    assert (failed.value.status, failed.value.reason) == (grpc.StatusCode.DATA_LOSS, "OBJECT_DAMAGED")
    assert job.keyframe.object.key in failed.value.message

    again = await rendered(client, *cast, "second")
    assert again.keyframe.object == job.keyframe.object
    assert (await client.shots.download(job)).startswith(b"\x89PNG")


async def test_a_shot_whose_figure_was_tampered_with_fails_naming_the_object(
    studio: Studio, client: ContinuityClient
) -> None:
    character_id, location_id = await film.cast(client)
    figure = (await client.characters.get(character_id)).figure
    await asyncio.to_thread(tamper, studio, figure.key)
    job = await rendered(client, character_id, location_id, "damaged")
    assert job.state == JobState.JOB_STATE_FAILED
    assert (job.failure.reason, job.failure.metadata["key"]) == ("OBJECT_DAMAGED", figure.key)
    assert job.attempts == 1, "bytes that are wrong do not become right"
