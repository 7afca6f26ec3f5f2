"""A small film, put before a runtime through the public client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest, SubmitShotsResponse
from continuity.client import ContinuityClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PHOTOGRAPHS = EXAMPLES / "photographs"
TYPES = (ShotType.SHOT_TYPE_WIDE, ShotType.SHOT_TYPE_MEDIUM, ShotType.SHOT_TYPE_CLOSE_UP)
SMALL = {"width_px": 512, "height_px": 288}
"""For tests that need pictures, not large ones: they are drawn in half the time."""
SECOND_SCENE = {".csv": ("scene,2,", ""), ".json": (',\n    {\n      "id": "2"', "]}"), ".yaml": ("  - id: 2", "")}
"""What the example's second scene begins with, and what a list without it ends with."""


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


async def submit(
    client: ContinuityClient, wanted: Sequence[Shot], request_id: str, **fields: Any
) -> SubmitShotsResponse:
    """Submit shots as one film."""
    return await client.shots.submit(
        SubmitShotsRequest(request_id=request_id, film="Weather Hold", shots=wanted, seed=7, **fields)
    )


async def finished(client: ContinuityClient, submission_id: str) -> dict[str, Job]:
    """Watch until every job of a submission is finished; return them by id as they ended."""
    jobs: dict[str, Job] = {}
    async for update in client.shots.watch(submission_id=submission_id):
        if update.HasField("job"):
            jobs[update.job.id] = update.job
    return jobs


def first_scene(extension: str, folder: Path) -> Path:
    """Write the four shots of the example's first scene, with its whole cast, to a shot list in the folder."""
    (folder / "photographs").symlink_to(PHOTOGRAPHS)
    shot_list = folder / "film" / f"shotlist{extension}"
    shot_list.parent.mkdir()
    begins, end = SECOND_SCENE[extension]
    whole = (EXAMPLES / "film" / shot_list.name).read_text()
    shot_list.write_text(whole[: whole.index(begins)] + end)
    return shot_list
