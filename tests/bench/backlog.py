"""Whether a shot costs more when many others wait: leased, drawn by nobody, stored, and its place in line asked for."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.clock import SystemClock
from continuity.kernel.ids import new_id
from continuity.kernel.values import Change, ObjectRef
from continuity.messaging.repository import Aggregates
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.domain.cast import FrozenCast
from services.rendering.domain.job import Job, cast_found, prompted, submitted
from services.rendering.domain.keyframe import Keyframe, Prompt, StageTimings
from services.rendering.domain.lease import rendered
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import CODEC
from services.rendering.handlers.find_jobs import MOST_AHEAD
from services.rendering.handlers.stores import OwnedJob

BACKLOGS = (1_000, 100_000)
SHOTS = 200
WORKERS = 8
ROUNDS = 11
"""Short and long in turn, so that whatever else the machine does falls on both."""
WRITTEN_AT_ONCE = 500
TARGET = 0.9
"""Shots a second with the long backlog, of those with the short one."""
PROMPT = Prompt("a close-up of Ward, lit from the left, " * 8, "blurry", 7)
KEYFRAME = Keyframe(ObjectRef("film/keyframes/ab.png", "ab", 3, "image/png"), 8, 8, 7, "null 1", StageTimings())


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
                jobs = houses[place][1]
                shots[place].append(await _rate(jobs, _draw))
                leases[place].append(await _rate(jobs, _lease))
        for documents, _ in houses:
            await documents.close()
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


async def _house(folder: Path, backlog: int) -> tuple[SqliteDocuments, StoredJobs]:
    documents = await SqliteDocuments(folder / "documents.sqlite3", [JOBS]).open()
    jobs = StoredJobs(Aggregates(Job, JOBS, documents, CODEC, NoRelay()))  # type: ignore[arg-type]
    async for batch in _ready(backlog + 2 * ROUNDS * SHOTS):
        await jobs.add_each("film", [Change(job) for job in batch])
    return documents, jobs


async def _ready(number: int) -> AsyncIterator[list[Job]]:
    now = SystemClock().now()
    for start in range(0, number, WRITTEN_AT_ONCE):
        shots = tuple(Shot("1", start + place + 1, "close-up", "Ward looks up") for place in range(WRITTEN_AT_ONCE))
        asked = Submission(new_id(), "Pad Nine", shots, 5, 0, 256, 128, now, first_tag=start)
        yield [_prompted(submitted(asked, place, now), now) for place in range(len(shots))]


def _prompted(job: Job, now: float) -> Job:
    asked = cast_found(replace(job, characters=("x" * 3_000,)), FrozenCast(), now)
    assert asked is not None
    ready = prompted(asked.aggregate, PROMPT, now)
    assert ready is not None
    return ready.aggregate


async def _lease(jobs: StoredJobs) -> OwnedJob:
    now = SystemClock().now()
    (owned,) = await jobs.lease(now, now + 10.0, "bench", 1)
    return owned


async def _draw(jobs: StoredJobs) -> None:
    """Everything that the rendering service does in its store for a shot in line, and one look at another's place."""
    owned = await _lease(jobs)
    now = SystemClock().now()
    await jobs.change_owned(owned, lambda job: rendered(job, "bench", KEYFRAME, now))
    await jobs.ahead_of(replace(owned.job, queue_key=owned.job.queue_key + 500_000), MOST_AHEAD)


async def _rate(jobs: StoredJobs, work: Callable[[StoredJobs], Awaitable[object]]) -> float:
    """Return how many turns of work eight workers do a second."""
    turns = iter(range(SHOTS))

    async def worker() -> None:
        for _ in turns:
            await work(jobs)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return SHOTS / (time.perf_counter() - start)
