from __future__ import annotations

import asyncio
from itertools import count

import pytest

from continuity.api.characters.v1.character_service_pb2 import DeleteCharacterRequest
from continuity.api.common.v1.shot_pb2 import LOCATION_TYPE_INTERIOR, SHOT_TYPE_FULL, Shot
from continuity.api.locations.v1.location_service_pb2 import DeleteLocationRequest, SaveLocationRequest
from continuity.api.rendering.v1.job_pb2 import JOB_STATE_FAILED, JOB_STATE_READY, JOB_STATE_WAITING_FOR_CAST, Job
from tests.component.services.conftest import LIMIT_S, Crew

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"cast_deadline_s": 1.0}
FULL = {"shot_type": SHOT_TYPE_FULL}


async def submitted_until_it_waits(crew: Crew, **fields: object) -> Job:
    """Submit the shot until rendering has heard that its cast is gone."""
    async with asyncio.timeout(LIMIT_S):
        for number in count(1):
            (job,) = await crew.submit(Shot(scene_id="1", shot_number=number, **FULL, **fields))
            if job.state == JOB_STATE_WAITING_FOR_CAST:
                return job
    raise AssertionError("unreachable")


async def test_a_shot_with_an_unknown_character_fails_at_its_deadline_naming_who_is_missing(crew):
    (job,) = await crew.submit(Shot(scene_id="1", shot_number=1, **FULL, character_ids=["nobody"]))
    assert job.state == JOB_STATE_WAITING_FOR_CAST
    failure = (await crew.job_becomes(job.id, JOB_STATE_FAILED)).failure
    assert failure.reason == "CAST_INCOMPLETE"
    assert failure.metadata["missing"] == "nobody"
    assert "nobody" in failure.message


async def test_a_deleted_character_cannot_be_cast(crew, grey):
    ward = await crew.ready("Ward", grey)
    (played,) = await crew.submit(Shot(scene_id="0", shot_number=1, **FULL, character_ids=[ward.id]))
    await crew.job_becomes(played.id, JOB_STATE_READY)
    await crew.call("DeleteCharacter", DeleteCharacterRequest(id=ward.id))
    job = await submitted_until_it_waits(crew, character_ids=[ward.id])
    failure = (await crew.job_becomes(job.id, JOB_STATE_FAILED)).failure
    assert (failure.reason, failure.metadata["missing"]) == ("CAST_INCOMPLETE", ward.id)


async def test_nothing_plays_in_a_deleted_location(crew):
    place = SaveLocationRequest(name="Pad Nine", type=LOCATION_TYPE_INTERIOR)
    pad = (await crew.call("SaveLocation", place)).location
    (played,) = await crew.submit(Shot(scene_id="0", shot_number=1, **FULL, location_id=pad.id))
    await crew.job_becomes(played.id, JOB_STATE_READY)
    await crew.call("DeleteLocation", DeleteLocationRequest(id=pad.id))
    job = await submitted_until_it_waits(crew, location_id=pad.id)
    failure = (await crew.job_becomes(job.id, JOB_STATE_FAILED)).failure
    assert (failure.reason, failure.metadata["missing"]) == ("CAST_INCOMPLETE", pad.id)
