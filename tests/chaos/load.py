"""Clients, each with a project of its own, that hand in shots and note what was accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import grpc

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest, SubmitShotsResponse
from continuity.client import CallFailed, ContinuityClient
from tests.chaos.evidence import Accepted, AcceptedJob, Asked

T = TypeVar("T")

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "examples" / "photographs"
TYPES = (ShotType.SHOT_TYPE_WIDE, ShotType.SHOT_TYPE_MEDIUM, ShotType.SHOT_TYPE_CLOSE_UP)
SIZE_PX = 256
BATCHES = (1, 3, 8, 20, 50)
CANCELLED_SHARE, WATCHED_SHARE = 0.4, 0.4
"""Of the submissions: those of which one job is cancelled, and those that are watched until all jobs have ended.

The first of each client is both.
"""
CALL_LIMIT_S = 15.0
PAUSE_S = (0.2, 1.5)
COME_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)
TORN = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
"""What a client sees of a connection that breaks amid an answer, where no service of ours spoke."""


class Pace:
    """Lets shots go as the faults do, so that all of them meet some."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._began = asyncio.get_running_loop().time()

    async def until(self, share: float) -> None:
        """Return when this share of the time is over."""
        await asyncio.sleep(self._began + share * self._length_s - asyncio.get_running_loop().time())


class FilmMaker:
    """One client. ``refusals`` counts the calls that failed, by status."""

    def __init__(self, address: str, number: int, shots: int, seed: int, accepted: Accepted) -> None:
        self.project = f"film-{number}"
        self.refusals: Counter[str] = Counter()
        self._address = address
        self._shots = shots
        self._random = Random(f"{seed} {number}")
        self._pauses = Random()
        self._accepted = accepted
        self._handed_in = 0

    @property
    def left(self) -> int:
        """How many shots are not accepted yet."""
        return self._shots - self._handed_in

    async def run(self, pace: Pace) -> None:
        """Cast, hand in all shots, cancel some; cast somebody else half way. Return when what is watched has ended."""
        async with (
            ContinuityClient(self._address, self.project, timeout_s=CALL_LIMIT_S) as client,
            asyncio.TaskGroup() as watchers,
        ):
            cast = await self._cast(client, "first")
            recast = False
            while self._handed_in < self._shots:
                await pace.until(self._handed_in / self._shots)
                if not recast and self._handed_in * 2 >= self._shots:
                    cast, recast = await self._cast(client, "second"), True
                first = not self._handed_in
                answer = await self._submit(client, cast)
                if first or self._random.random() < WATCHED_SHARE:
                    watchers.create_task(self._watch(client, answer))
                if first or self._random.random() < CANCELLED_SHARE:
                    await self._cancel(client, self._random.choice(answer.jobs).id)

    async def _cast(self, client: ContinuityClient, name: str) -> tuple[str, str]:
        """Return a character and a location, accepted and not yet ready."""
        photo = PHOTOGRAPHS / ("eileen_collins.png" if name == "first" else "grace_hopper.jpg")
        data = await asyncio.to_thread(photo.read_bytes)
        request_id = f"{self.project}-{name}"
        self._asked("character", request_id)
        self._asked("location", f"the {name}")
        made = await self._patiently(lambda: client.characters.create(f"The {name}", data, request_id=request_id))
        place = await self._patiently(
            lambda: client.locations.save(f"The {name}", LocationType.LOCATION_TYPE_INTERIOR, description="a room")
        )
        self._accepted.characters.add((self.project, made.id))
        self._accepted.locations.add((self.project, place.id))
        return made.id, place.id

    async def _submit(self, client: ContinuityClient, cast: tuple[str, str]) -> SubmitShotsResponse:
        count = min(self._random.choice(BATCHES), self._shots - self._handed_in)
        request = self._request(count, cast)
        self._asked("submission", request.request_id)
        answer = await self._patiently(lambda: client.shots.submit(request))
        self._note(request, answer)
        self._handed_in += count
        return answer

    def _request(self, count: int, cast: tuple[str, str]) -> SubmitShotsRequest:
        character, location = cast
        shots = [
            Shot(
                scene_id=str(self._handed_in + 1),
                shot_number=number + 1,
                shot_type=TYPES[number % len(TYPES)],
                description="She waits for the word to go.",
                character_ids=[character],
                location_id=location,
            )
            for number in range(count)
        ]
        return SubmitShotsRequest(
            request_id=f"{self.project}-{self._handed_in}",
            film="Weather Hold",
            shots=shots,
            seed=self._handed_in,
            priority=self._random.choice((0, 0, 10)),
            width_px=SIZE_PX,
            height_px=SIZE_PX,
        )

    def _note(self, request: SubmitShotsRequest, answer: SubmitShotsResponse) -> None:
        assert len(answer.jobs) == len(request.shots), f"{len(answer.jobs)} jobs for {len(request.shots)} shots"
        for shot, job in zip(request.shots, answer.jobs, strict=True):
            place = f"{shot.scene_id}/{shot.shot_number}"
            self._accepted.jobs.append(AcceptedJob(self.project, job.id, answer.submission_id, place))

    def _asked(self, kind: str, key: str) -> None:
        """Note what is about to be asked for."""
        self._accepted.asked.add(Asked(self.project, kind, key))

    async def _watch(self, client: ContinuityClient, submission: SubmitShotsResponse) -> None:
        """Watch until all jobs have ended; note what is seen of each."""
        seen = self._accepted.watched
        seen |= {(self.project, job.id): "nothing" for job in submission.jobs}

        async def watch() -> None:
            async for update in client.shots.watch(submission_id=submission.submission_id):
                if update.HasField("job"):
                    seen[self.project, update.job.id] = _state(update.job)

        await self._patiently(watch)

    async def _cancel(self, client: ContinuityClient, job_id: str) -> None:
        """Cancel a job; one that has ended says so."""
        try:
            await self._patiently(lambda: client.shots.cancel(job_id))
        except CallFailed as error:
            if error.status is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
        else:
            self._accepted.cancelled.add((self.project, job_id))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it is accepted; whoever runs this sets the limit. Raises ``CallFailed`` for what is refused."""
        while True:
            try:
                return await call()
            except CallFailed as error:
                self.refusals[error.status.name] += 1
                torn = error.status in TORN and error.reason == error.status.name
                if error.status not in COME_AGAIN and not torn:
                    raise
            await asyncio.sleep(self._pauses.uniform(*PAUSE_S))


def _state(job: Job) -> str:
    """Return the state as it is stored."""
    return JobState.Name(job.state).removeprefix("JOB_STATE_").lower().replace("_", "-")
