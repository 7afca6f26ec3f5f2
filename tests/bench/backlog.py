"""Whether a shot costs more when many others wait, near the limit of how many may.

It is accepted, given its prompt, leased, drawn by nobody, stored, and another's place in line is asked for.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median

from continuity.api.characters.v1.character_pb2 import Character
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.clock import SystemClock
from continuity.kernel.ids import new_id
from continuity.kernel.values import Change, ObjectRef
from continuity.messaging.repository import Aggregates
from continuity.wire.conversion import closed
from services.rendering.adapters.stored_cast import CAST, StoredCast
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.adapters.stored_queues import DRAWN, QUEUES, Drawn, StoredQueues
from services.rendering.adapters.stored_submissions import SUBMISSIONS, StoredSubmissions
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.fair_queue import QueueTail
from services.rendering.domain.job import Job, cast_found, prompted, submitted
from services.rendering.domain.keyframe import Keyframe, Prompt, StageTimings
from services.rendering.domain.lease import rendered
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import CODEC
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.find_jobs import MOST_AHEAD
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.stores import OwnedJob
from services.rendering.handlers.submit_shots import ShotsAsked, SubmitShots

BACKLOGS = (1_000, 100_000)
SHOTS, SUBMITTED_AT_ONCE = 200, 10
PROJECTS = ("film", "other")
FULL = 0.92
"""Of the limit, that waits: above nine tenths unfinished shots are counted as often as they are at all."""
WORKERS = 8
ROUNDS = 11
"""Short and long in turn, so that whatever else the machine does falls on both."""
WRITTEN_AT_ONCE = 100
TARGET = 0.9
"""Shots a second with the long backlog, of those with the short one."""
PROMPT = Prompt("a close-up of Ward, lit from the left, " * 8, "blurry", 7)
KEYFRAME = Keyframe(ObjectRef("film/keyframes/ab.png", "ab", 3, "image/png"), 8, 8, 7, "null 1", StageTimings())


WARD = CastEntry("ward", "Ward", 1, closed(Character(id="ward", name="Ward", description="x" * 2_000)))
ASKED = ShotsAsked(
    request_id="",
    film="Pad Nine",
    shots=tuple(
        Shot("1", number + 1, "close-up", "Ward looks up", character_ids=(WARD.id,))
        for number in range(SUBMITTED_AT_ONCE)
    ),
    seed=5,
    priority=0,
    width_px=256,
    height_px=128,
)


class NoRelay:
    """Events stay in their outboxes: this measures the store."""

    owner = "bench"

    def nudge(self, ref: object) -> None:
        """Publish nothing."""


def run() -> dict[str, dict[str, float]]:
    """Shots and leases a second of eight workers, behind a short and a long backlog in turn."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder:
        houses = [await _house(Path(folder) / str(backlog), backlog) for backlog in BACKLOGS]
        shots: list[list[float]] = [[], []]
        leases: list[list[float]] = [[], []]
        for turn in range(ROUNDS):
            for place in (0, 1) if turn % 2 else (1, 0):
                house = houses[place]
                shots[place].append(await _rate(house, _shots, SUBMITTED_AT_ONCE))
                leases[place].append(await _rate(house, _lease, 1))
        for house in houses:
            await asyncio.gather(*house.submit.notes)
            await house.documents.close()
    figures: dict[str, dict[str, float]] = {}
    for name, (short, long) in (("shots", shots), ("leases", leases)):
        for backlog, rates in zip(BACKLOGS, (short, long), strict=True):
            figures[f"{name}, {backlog:,} queued"] = {f"{name}_per_s": round(median(rates), 1)}
        ratio = median(after / before for before, after in zip(short, long, strict=True))
        figures[f"{name}, long to short"] = {
            "ratio": round(ratio, 3),
            **({"target": TARGET} if name == "shots" else {}),
        }
    return figures


@dataclass(frozen=True)
class House:
    """What the rendering service has to do with a store of its own."""

    documents: SqliteDocuments
    jobs: StoredJobs
    submit: SubmitShots
    queue: FairQueue
    projects: Iterator[str]


async def _house(folder: Path, backlog: int) -> House:
    collections = (JOBS, SUBMISSIONS, CAST, QUEUES, DRAWN)
    documents = await SqliteDocuments(folder / "documents.sqlite3", collections).open()

    def of(aggregate, collection):  # type: ignore[no-untyped-def]
        return Aggregates(aggregate, collection, documents, CODEC, NoRelay())  # type: ignore[arg-type]

    clock, jobs, cast = SystemClock(), StoredJobs(of(Job, JOBS)), StoredCast(of(CastEntry, CAST))
    submissions = StoredSubmissions(of(Submission, SUBMISSIONS))
    queue = FairQueue(StoredQueues(of(QueueTail, QUEUES), of(Drawn, DRAWN)), jobs, submissions, clock)
    waiting = backlog + ROUNDS * SHOTS
    admission = Admission(jobs, round(waiting / FULL))
    submit = SubmitShots(submissions, jobs, FreezeCast(cast, jobs, clock), queue, admission, clock, _accept)
    house = House(documents, jobs, submit, queue, cycle(PROJECTS))
    for project in PROJECTS:
        await cast.learn(project, WARD)
    for batch in _ready(waiting // len(PROJECTS)):
        for project in PROJECTS:
            await jobs.add_each(project, [Change(job) for job in batch])
    return house


async def _accept(_project: str, _submission: Submission) -> None:
    """Nobody asks for anything here."""


def _ready(number: int) -> Iterator[list[Job]]:
    now = SystemClock().now()
    for start in range(0, number, WRITTEN_AT_ONCE):
        count = min(WRITTEN_AT_ONCE, number - start)
        shots = tuple(Shot("1", start + place + 1, "close-up", "Ward looks up") for place in range(count))
        asked = Submission(new_id(), "Pad Nine", shots, 5, 0, 256, 128, now, first_tag=start)
        yield [_prompted(submitted(asked, place, now), now) for place in range(count)]


def _prompted(job: Job, now: float) -> Job:
    asked = cast_found(replace(job, characters=("x" * 3_000,)), FrozenCast(), now)
    assert asked is not None
    ready = prompted(asked.aggregate, PROMPT, now)
    assert ready is not None
    return ready.aggregate


async def _lease(house: House) -> OwnedJob:
    now = SystemClock().now()
    (owned,) = await house.jobs.lease(now, now + 10.0, "bench", 1)
    house.queue.drawn(owned.job)
    return owned


async def _shots(house: House) -> None:
    """Everything that the rendering service does in its store for some shots."""
    project = next(house.projects)
    _, accepted = await house.submit(project, ASKED)
    for job in accepted:
        await _draw(house, project, job)


async def _draw(house: House, project: str, accepted: Job) -> None:
    """Give a shot its prompt, draw the first in line, and look at the place of another."""
    now = SystemClock().now()
    await house.jobs.change(project, accepted.id, lambda job: prompted(job, PROMPT, now))
    owned = await _lease(house)
    await house.jobs.change_owned(owned, lambda job: rendered(job, "bench", [KEYFRAME], now))
    await house.jobs.ahead_of(replace(owned.job, queue_key=owned.job.queue_key + 500_000), MOST_AHEAD)


async def _rate(house: House, work: Callable[[House], Awaitable[object]], shots: int) -> float:
    """Return how many shots eight workers do a second, where a turn of work is of so many."""
    turns = iter(range(SHOTS // shots))

    async def worker() -> None:
        for _ in turns:
            await work(house)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return SHOTS / (time.perf_counter() - start)
