"""Where a character's image and a keyframe can be read without us: plain HTTP, no credentials."""

from __future__ import annotations

import asyncio
import hashlib
from urllib.request import urlopen

import pytest

from continuity.client import ContinuityClient
from tests.e2e import film

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 90.0


async def sha256_at(url: str) -> str:
    def read() -> bytes:
        with urlopen(url, timeout=LIMIT_S) as answer:
            return bytes(answer.read())

    return hashlib.sha256(await asyncio.to_thread(read)).hexdigest()


async def test_a_character_and_a_keyframe_are_read_at_their_addresses(client: ContinuityClient) -> None:
    character_id, location_id = await film.cast(client)
    found = await client.characters.find(character_id)
    assert await sha256_at(found.image_url) == found.character.figure.sha256

    submission = await film.submit(client, film.shots(character_id, location_id, 1), "first")
    async with asyncio.timeout(LIMIT_S):
        (job,) = (await film.finished(client, submission.submission_id)).values()
    rendered = await client.shots.find(job.id)
    assert await sha256_at(rendered.image_url) == rendered.job.keyframe.object.sha256


async def test_a_job_that_is_not_rendered_has_no_address(client: ContinuityClient) -> None:
    submission = await film.submit(client, film.shots("who-does-not-exist", "", 1), "first")
    waiting = await client.shots.find(submission.jobs[0].id)
    assert not waiting.job.HasField("keyframe")
    assert waiting.image_url == ""
