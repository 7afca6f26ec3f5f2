"""Ports of the rendering service, kept in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import Change, ObjectRef
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.errors import JobMissing, RendererDown
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import READY, RENDERING, Job
from services.rendering.domain.submission import Submission
from services.rendering.handlers.ports import OwnedJob, Picture, RenderTask, Step
from tests.unit.rendering.builders import leased


class SetClock:
    """Stands where it was set."""

    def __init__(self, seconds: float = 1_000.0) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


class InMemoryJobs:
    """``before_change`` runs once before the next change or addition: somebody else who is first."""

    def __init__(self, *jobs: Job, project: str = "film") -> None:
        self.stored: dict[tuple[str, str], Job] = {(project, job.id): job for job in jobs}
        self.events: list[object] = []
        self.before_change: Callable[[], Awaitable[object]] | None = None
        self.broken: ContinuityError | None = None

    def only(self) -> Job:
        (job,) = self.stored.values()
        return job

    async def get(self, project: str, id: str) -> Job:
        if (project, id) not in self.stored:
            raise JobMissing(job_id=id)
        return self.stored[project, id]

    async def add(self, project: str, change: Change[Job]) -> bool:
        await self._somebody_else()
        key = (project, change.aggregate.id)
        if key in self.stored:
            return False
        self._write(key, change)
        return True

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        await self._somebody_else()
        if self.broken:
            raise self.broken
        change = decide(await self.get(project, id))
        if change is not None:
            self._write((project, id), change)
        return self.stored[project, id]

    async def of_submission(self, project: str, submission_id: str) -> list[Job]:
        return [
            owned.job for owned in self._queue() if (owned.project, owned.job.submission_id) == (project, submission_id)
        ]

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        found = [one for one in self._queue() if (one.project, one.job.waiting_for) == (project, id)]
        return found[:limit]

    async def standing(self, state: str, before: float, limit: int) -> list[OwnedJob]:
        found = [one for one in self._queue() if one.job.state == state and one.job.update_time <= before]
        return found[:limit]

    async def ahead_of(self, job: Job) -> int:
        return sum(one.job.state == READY and one.job.queue_key < job.queue_key for one in self._queue())

    async def unfinished(self) -> int:
        return sum(not one.job.finished for one in self._queue())

    async def lease_next(self, now: float, until: float, token: str) -> OwnedJob | None:
        due = [one for one in self._queue() if one.job.state == READY and one.job.not_before <= now]
        return self._lease(due, now, until, token)

    async def take_over_lapsed(self, now: float, until: float, token: str) -> OwnedJob | None:
        lapsed = [one for one in self._queue() if one.job.state == RENDERING and one.job.lease_until <= now]
        return self._lease(lapsed, now, until, token)

    def _queue(self) -> list[OwnedJob]:
        found = [OwnedJob(project, job) for (project, _), job in self.stored.items()]
        return sorted(found, key=lambda one: one.job.queue_key)

    def _lease(self, due: list[OwnedJob], now: float, until: float, token: str) -> OwnedJob | None:
        if not due:
            return None
        taken = OwnedJob(due[0].project, leased(due[0].job, token, now, until))
        self.stored[taken.project, taken.job.id] = taken.job
        return taken

    def _write(self, key: tuple[str, str], change: Change[Job]) -> None:
        self.stored[key] = change.aggregate
        self.events += change.events

    async def _somebody_else(self) -> None:
        if self.before_change is not None:
            first, self.before_change = self.before_change, None
            await first()


class InMemorySubmissions:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Submission] = {}

    async def add(self, project: str, submission: Submission) -> bool:
        if (project, submission.id) in self.stored:
            return False
        self.stored[project, submission.id] = submission
        return True

    async def get(self, project: str, id: str) -> Submission:
        return self.stored[project, id]

    async def fanned_out(self, project: str, id: str) -> None:
        self.stored[project, id] = replace(self.stored[project, id], fanned_out=True)

    async def unfinished(self, before: float, limit: int) -> list[tuple[str, Submission]]:
        found = [(project, one) for (project, _), one in self.stored.items()]
        return [(project, one) for project, one in found if not one.fanned_out and one.create_time <= before][:limit]


class InMemoryCast:
    def __init__(self, *entries: CastEntry, project: str = "film") -> None:
        self.entries = {(project, entry.id): entry for entry in entries}

    async def find(self, project: str, id: str) -> CastEntry | None:
        return self.entries.get((project, id))

    async def learn(self, project: str, entry: CastEntry) -> None:
        known = self.entries.get((project, entry.id))
        if known is None or entry.version > known.version:
            self.entries[project, entry.id] = entry


class ScriptedRenderer:
    """Takes one step, waits while it is held, then fails with the next failure or ends with a grey picture."""

    name = "fake 1"

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.is_down = False
        self.ends_without_picture = False
        self.drawn: list[str] = []
        self.closed: list[str] = []
        self.drawing = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def check(self) -> None:
        if self.is_down:
            raise RendererDown(cause="it is off")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        self.drawn.append(task.job.id)
        try:
            yield Step(1, 2, b"jpeg")
            self.drawing.set()
            await self.may_go_on.wait()
            if self.failures:
                raise self.failures.popleft()
            if not self.ends_without_picture:
                yield Picture(np.full((task.job.height_px, task.job.width_px, 3), 128, np.uint8))
        finally:
            self.closed.append(task.job.id)


class InMemoryFiles:
    def __init__(self) -> None:
        self.keyframes: dict[str, bytes] = {}

    async def store(self, task: RenderTask, picture: Picture, renderer: str) -> ObjectRef:
        key = f"{task.project}/keyframes/{task.job.id}"
        self.keyframes[key] = picture.pixels.tobytes()
        return ObjectRef(key, "00", picture.pixels.size, "image/png")

    async def store_preview(self, project: str, jpeg: bytes) -> ObjectRef:
        return ObjectRef(f"{project}/previews/{jpeg.decode()}", "00", len(jpeg), "image/jpeg")

    async def read(self, key: str) -> bytes:
        return self.keyframes[key]


class SpokenProgress:
    """Remembers every word and passes it on to who listens; ``loses_words`` drops them instead."""

    def __init__(self) -> None:
        self.words: list[RenderProgressed] = []
        self.feeds: list[SpokenFeed] = []
        self.loses_words = False

    async def tell(self, project: str, progress: RenderProgressed) -> None:
        self.words.append(progress)
        for feed in self.feeds:
            if not self.loses_words and (project, progress.job_id) in feed.wanted:
                feed.words.append(progress)

    def listen(self, project: str, job_ids: Sequence[str]) -> SpokenFeed:
        feed = SpokenFeed({(project, id) for id in job_ids}, self.feeds)
        self.feeds.append(feed)
        return feed


class SpokenFeed:
    """A feed that does not wait: where no word is left, ``on_silence`` runs and the time is over."""

    def __init__(self, wanted: set[tuple[str, str]], feeds: list[SpokenFeed]) -> None:
        self.wanted = wanted
        self.words: deque[RenderProgressed] = deque()
        self.on_silence: Callable[[], Awaitable[object]] | None = None
        self._feeds = feeds

    async def next(self, timeout_s: float) -> RenderProgressed | None:
        if self.words:
            return self.words.popleft()
        if self.on_silence is not None:
            await self.on_silence()
        return None

    def close(self) -> None:
        self._feeds.remove(self)
