"""A small film, put before a runtime through the public client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest, SubmitShotsResponse
from continuity.client import ContinuityClient

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "examples" / "photographs"
TYPES = (ShotType.SHOT_TYPE_WIDE, ShotType.SHOT_TYPE_MEDIUM, ShotType.SHOT_TYPE_CLOSE_UP)


async def cast(client: ContinuityClient, request_id: str = "reyes") -> tuple[str, str]:
    """Return the ids of a READY character and of a location."""
    photo = (PHOTOGRAPHS / "eileen_collins.png").read_bytes()
    character = await client.characters.create("Reyes", photo, request_id=request_id)
    await client.characters.until_ready(character.id)
    location = await client.locations.save(
        "Control room", LocationType.LOCATION_TYPE_INTERIOR, description="mission control room with consoles"
    )
    return character.id, location.id


def shots(character_id: str, location_id: str, count: int) -> list[Shot]:
    """Return shots that differ in type and number."""
    return [
        Shot(
            scene_id="1",
            shot_number=number + 1,
            shot_type=TYPES[number % len(TYPES)],
            description="She waits for the word to go.",
            character_ids=[character_id],
            location_id=location_id,
        )
        for number in range(count)
    ]


async def submit(client: ContinuityClient, wanted: Sequence[Shot], request_id: str) -> SubmitShotsResponse:
    """Submit shots as one film."""
    return await client.shots.submit(
        SubmitShotsRequest(request_id=request_id, film="Weather Hold", shots=wanted, seed=7)
    )


async def finished(client: ContinuityClient, submission_id: str) -> dict[str, Job]:
    """Watch until every job of a submission is finished; return them by id as they ended."""
    jobs: dict[str, Job] = {}
    async for update in client.shots.watch(submission_id=submission_id):
        if update.HasField("job"):
            jobs[update.job.id] = update.job
    return jobs
