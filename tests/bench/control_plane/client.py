"""What users do: several clients hand in shots over gRPC and watch until all have succeeded."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.client import ContinuityClient

LIMIT_S = 300.0
SHARES = (0.5, 0.25, 0.1, 0.05, 0.05, 0.05)
"""What part of a batch each submission is; every one has a client and a connection of its own."""
WARM_SHOTS = 40


@dataclass(frozen=True)
class Target:
    """Where shots are handed in, spread over the replicas, and the location that they show."""

    addresses: Sequence[str]
    location_id: str


async def location(address: str) -> str:
    """Save a location and return its id."""
    async with ContinuityClient(address) as client:
        saved = await client.locations.save(
            "Control room", LocationType.LOCATION_TYPE_INTERIOR, description="mission control room with consoles"
        )
    return str(saved.id)


async def warm_up(target: Target) -> None:
    """Wait until what was handed in before has been forgotten and a few shots go through, one by one and together."""
    await batch(target, WARM_SHOTS)
    await singles(target, WARM_SHOTS // 8)


async def batch(target: Target, shots: int) -> float:
    """Return the seconds from the first shot handed in to the last one that is seen to have succeeded."""
    start = time.perf_counter()
    async with asyncio.timeout(LIMIT_S):
        chosen = zip(itertools.cycle(target.addresses), SHARES, strict=False)
        await asyncio.gather(*(_submission(target, address, round(shots * share)) for address, share in chosen))
    return time.perf_counter() - start


async def singles(target: Target, count: int) -> list[float]:
    """Return the seconds of each of several shots that are handed in one after the other."""
    latencies_s = []
    async with ContinuityClient(target.addresses[0]) as client, asyncio.timeout(LIMIT_S):
        for _ in range(count):
            start = time.perf_counter()
            await _succeeded(client, target, 1)
            latencies_s.append(time.perf_counter() - start)
    return latencies_s


async def _submission(target: Target, address: str, count: int) -> None:
    async with ContinuityClient(address, timeout_s=LIMIT_S) as client:
        await _succeeded(client, target, count)


async def _succeeded(client: ContinuityClient, target: Target, count: int) -> None:
    submission = await client.shots.submit(SubmitShotsRequest(film="Weather Hold", shots=_shots(target, count), seed=7))
    states = {}
    async for update in client.shots.watch(submission_id=submission.submission_id):
        if update.HasField("job"):
            states[update.job.id] = update.job.state
    if len(states) != count or set(states.values()) != {JobState.JOB_STATE_SUCCEEDED}:
        raise RuntimeError(f"of {count} shots {list(states.values()).count(JobState.JOB_STATE_SUCCEEDED)} succeeded")


def _shots(target: Target, count: int) -> list[Shot]:
    return [
        Shot(
            scene_id="1",
            shot_number=number + 1,
            shot_type=ShotType.SHOT_TYPE_WIDE,
            description="The room waits for the word to go.",
            location_id=target.location_id,
        )
        for number in range(count)
    ]
