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
from services.rendering.domain.fair_queue import QueueTail
from services.rendering.domain.job import RENDERING, Job
from services.rendering.domain.submission import Submission
from services.rendering.handlers.ports import Picture, RenderTask, Step, Word
from services.rendering.handlers.stores import OwnedJob, OwnedSubmission
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
        self.unwritable: set[str] = set()
        self.unpublished: set[tuple[str, str]] = set()
        self.before_change: Callable[[], Awaitable[object]] | None = None
        self.broken: ContinuityError | None = None
        self.away: ContinuityError | None = None
        self.refused = 0
        self.reads = 0
        self.leases = 0
        self.renderer: str | None = None
        self._answered: tuple[asyncio.Event, asyncio.Event] | None = None

    def hold_leases(self) -> tuple[asyncio.Event, asyncio.Event]:
        """Write leases but do not answer: return an event for when one is written, and one that lets it be told."""
        self._answered = asyncio.Event(), asyncio.Event()
        return self._answered

    def only(self) -> Job:
        (job,) = self.stored.values()
        return job

    async def get(self, project: str, id: str) -> Job:
        if (project, id) not in self.stored:
            raise JobMissing(job_id=id)
        return self.stored[project, id]

    async def several(self, project: str, ids: Sequence[str]) -> list[Job]:
        self.reads += 1
        return [await self.get(project, id) for id in ids]

    async def add_each(self, project: str, changes: Sequence[Change[Job]]) -> set[str]:
        await self._somebody_else()
        if any(each.aggregate.submission_id in self.unwritable for each in changes):
            raise ZeroDivisionError
        new = [each for each in changes if (project, each.aggregate.id) not in self.stored]
        for each in new:
            self._write((project, each.aggregate.id), each)
        return {each.aggregate.id for each in new}

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        await self._somebody_else()
        if self.broken:
            self.refused += 1
            raise self.broken
        change = decide(await self.get(project, id))
        if change is not None:
            self._write((project, id), change)
        return self.stored[project, id]

    async def change_owned(self, owned: OwnedJob, decide: Callable[[Job], Change[Job] | None]) -> OwnedJob:
        changed = await self.change(owned.project, owned.job.id, decide)
        return replace(owned, job=changed, version=owned.version + 1)

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        found = [one for one in self._queue() if (one.project, one.job.waiting_for) == (project, id)]
        return found[:limit]

    async def due(self, state: str, now: float, limit: int) -> list[OwnedJob]:
        return [one for one in self._looks(state) if (one.job.look_time or 0.0) <= now][:limit]

    async def last_due(self, state: str, limit: int) -> list[OwnedJob]:
        return self._looks(state)[::-1][:limit]

    async def astray(self, state: str, limit: int) -> list[OwnedJob]:
        found = [one for one in self._queue() if one.job.state == state]
        return [one for one in found if one.job.line_key is None and one.job.look_time is None][:limit]

    async def has_unpublished(self, project: str, id: str) -> bool:
        return (project, id) in self.unpublished

    async def rendering(self) -> list[OwnedJob]:
        if self.away:
            raise self.away
        return [one for one in self._queue() if one.job.state == RENDERING]

    async def ahead_of(self, job: Job, limit: int) -> int:
        keys = [one.job.line_key for one in self._queue()]
        return min(limit, sum(key is not None and key < job.queue_key for key in keys))

    async def unfinished(self, project: str | None, limit: int) -> int:
        return min(limit, sum(not one.job.finished and project in (None, one.project) for one in self._queue()))

    async def undrawn(self, limit: int) -> int:
        return min(limit, sum(not one.job.finished and self._may_draw(one.job) for one in self._queue()))

    async def lease(self, now: float, until: float, token: str, limit: int, least_priority: int = 0) -> list[OwnedJob]:
        if self.away:
            raise self.away
        self.leases += 1
        inline = (one for one in self._queue() if one.job.line_key is not None and one.job.priority >= least_priority)
        inline = (one for one in inline if self._may_draw(one.job))
        line = sorted(inline, key=lambda one: one.job.line_key or 0)
        taken = [OwnedJob(one.project, leased(one.job, token, now, until)) for one in line[:limit]]
        self.stored |= {(one.project, one.job.id): one.job for one in taken}
        if self._answered:
            written, may_answer = self._answered
            written.set()
            await may_answer.wait()
        return taken

    def _may_draw(self, job: Job) -> bool:
        return self.renderer is None or job.renderer in (self.renderer, None)

    def _looks(self, state: str) -> list[OwnedJob]:
        found = [one for one in self._queue() if one.job.state == state and one.job.look_time is not None]
        return sorted(found, key=lambda one: one.job.look_time or 0.0)

    def _queue(self) -> list[OwnedJob]:
        found = [OwnedJob(project, job) for (project, _), job in self.stored.items()]
        return sorted(found, key=lambda one: one.job.queue_key)

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

    async def find(self, project: str, id: str) -> Submission | None:
        return self.stored.get((project, id))

    async def fanned_out(self, project: str, id: str) -> None:
        self.stored[project, id] = replace(self.stored[project, id], fanned_out=True)

    async def unfinished(self, before: float, limit: int, token: str) -> tuple[list[OwnedSubmission], str]:
        found = [OwnedSubmission(project, one) for (project, _), one in self.stored.items()]
        due = [one for one in found if not one.submission.fanned_out and one.submission.create_time <= before]
        behind = [one for one in due if one.submission.create_time > float(token or -1)]
        next_token = str(behind[limit - 1].submission.create_time) if len(behind) > limit else ""
        return behind[:limit], next_token


class InMemoryQueues:
    """``before_extend`` runs once before the next reservation: somebody else who is first."""

    def __init__(self) -> None:
        self.tails: dict[tuple[str, int], QueueTail] = {}
        self.tags: dict[int, int] = {}
        self.before_extend: Callable[[], Awaitable[object]] | None = None

    async def tail(self, project: str, priority: int) -> QueueTail:
        return self.tails.get((project, priority), QueueTail())

    async def extend(self, project: str, priority: int, decide: Callable[[QueueTail], QueueTail]) -> QueueTail:
        if self.before_extend is not None:
            first, self.before_extend = self.before_extend, None
            await first()
        self.tails[project, priority] = decide(await self.tail(project, priority))
        return self.tails[project, priority]

    async def drawn(self, priority: int) -> int:
        return self.tags.get(priority, 0)

    async def tell_drawn(self, priority: int, tag: int) -> None:
        self.tags[priority] = max(tag, self.tags.get(priority, 0))


class InMemoryCast:
    def __init__(self, *entries: CastEntry, project: str = "film") -> None:
        self.entries = {(project, entry.id): entry for entry in entries}
        self.looked_up = 0

    async def find(self, project: str, id: str) -> CastEntry | None:
        self.looked_up += 1
        return self.entries.get((project, id))

    async def learn(self, project: str, entry: CastEntry) -> None:
        known = self.entries.get((project, entry.id))
        if known is None or entry.version > known.version:
            self.entries[project, entry.id] = entry


class ScriptedRenderer:
    """Takes one step once it may begin, and waits while it is held.

    Then it fails with the next failure or ends with its grey ``takes``.
    """

    name = "fake 1"

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.is_down = False
        self.ends_without_picture = False
        self.takes = 1
        self.asked = 0
        self.drawn: list[str] = []
        self.timeouts: list[float] = []
        self.on_step: Callable[[], object] = lambda: None
        self.closed: list[str] = []
        self.drawing = asyncio.Event()
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def check(self) -> None:
        self.asked += 1
        if self.is_down:
            raise RendererDown(cause="it is off")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        self.drawn.append(task.job.id)
        self.timeouts.append(task.timeout_s)
        try:
            await self.may_begin.wait()
            self.on_step()
            yield Step(1, 2, b"jpeg")
            self.drawing.set()
            await self.may_go_on.wait()
            if self.failures:
                raise self.failures.popleft()
            for take in range(0 if self.ends_without_picture else self.takes):
                yield Picture(np.full((task.job.height_px, task.job.width_px, 3), 128 + take, np.uint8), b"", take)
        finally:
            self.closed.append(task.job.id)


async def accept_any_options(_project: str, _submission: Submission) -> None:
    """What a shot asks of the engine is nobody's business here."""


class InMemoryFiles:
    """Stores once ``may_store`` is set."""

    def __init__(self) -> None:
        self.keyframes: dict[str, bytes] = {}
        self.may_store = asyncio.Event()
        self.may_store.set()

    async def store(
        self, task: RenderTask, picture: Picture, renderer: str, keyframe: ObjectRef | None = None
    ) -> ObjectRef:
        await self.may_store.wait()
        beside = f"-{picture.take}-of-{keyframe.key}" if keyframe else ""
        key = f"{task.project}/keyframes/{task.job.id}{beside.replace('/', '-')}"
        self.keyframes[key] = picture.pixels.tobytes()
        return ObjectRef(key, "00", picture.pixels.size, "image/png")

    async def store_preview(self, project: str, jpeg: bytes) -> ObjectRef:
        return ObjectRef(f"{project}/previews/{jpeg.decode()}", "00", len(jpeg), "image/jpeg")

    async def read(self, key: str) -> bytes:
        return self.keyframes[key]

    def address(self, key: str) -> str:
        return f"https://cdn.example.org/{key}"


class SpokenProgress:
    """Remembers every word and passes it on to who listens; ``loses_words`` drops them instead."""

    def __init__(self) -> None:
        self.words: list[RenderProgressed] = []
        self.feeds: list[SpokenFeed] = []
        self.loses_words = False

    async def tell(self, project: str, word: Word) -> None:
        progress = RenderProgressed(word.id, word.state) if isinstance(word, Job) else word
        self.words.append(progress)
        for feed in self.feeds:
            if not self.loses_words and (project, progress.job_id) in feed.wanted:
                feed.words.append(word)

    def listen(self, project: str, job_ids: Sequence[str]) -> SpokenFeed:
        feed = SpokenFeed({(project, id) for id in job_ids}, self.feeds)
        self.feeds.append(feed)
        return feed


class SpokenFeed:
    """A feed that does not wait: where no word is left, ``on_silence`` runs and the time is over."""

    def __init__(self, wanted: set[tuple[str, str]], feeds: list[SpokenFeed]) -> None:
        self.wanted = wanted
        self.words: deque[Word] = deque()
        self.on_silence: Callable[[], Awaitable[object]] | None = None
        self.waited_s = 0.0
        self._feeds = feeds

    async def next(self, timeout_s: float) -> Word | None:
        self.waited_s = timeout_s
        if self.words:
            return self.words.popleft()
        if self.on_silence is not None:
            await self.on_silence()
        return None

    def waiting(self) -> list[Word]:
        words = list(self.words)
        self.words.clear()
        return words

    def close(self) -> None:
        self._feeds.remove(self)
