"""Watch jobs: each as it is, then every change and step, until all are finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from continuity.kernel.clock import Clock
from services.rendering.domain.errors import SubmissionMissing, WatchesFull
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import FINISHED, Job
from services.rendering.handlers.ports import Progress, ProgressFeed
from services.rendering.handlers.stores import Jobs, Submissions

LOOK_AGAIN_S = 2.0
"""Words may be lost, so the documents are read again this often."""
GATHER_S, ENDS_S, CHANGES_S = 0.001, 0.02, 0.25
"""For each open job, and at most for the end of one, and for a change that others will follow."""
LOOKS_PER_S = 50
"""Documents that one watch reads a second: where many jobs are open it reads them again less often."""


@dataclass
class Watches:
    """Room for watches; the jobs that they watch are counted for each."""

    max_watches: int = 500
    max_jobs: int = 100_000
    watches: int = 0
    jobs: int = 0

    @contextmanager
    def room(self, jobs: int) -> Iterator[None]:
        """Hold room for one watch. Raises ``WatchesFull``."""
        if self.watches >= self.max_watches or self.jobs + jobs > self.max_jobs:
            raise WatchesFull(self.watches, self.jobs, self.max_watches, self.max_jobs)
        self.watches += 1
        self.jobs += jobs
        try:
            yield
        finally:
            self.watches -= 1
            self.jobs -= jobs


@dataclass(frozen=True)
class WatchJobs:
    """Reads documents first and listens from before that, so that nothing falls between."""

    jobs: Jobs
    submissions: Submissions
    progress: Progress
    clock: Clock
    watches: Watches = field(default_factory=Watches)

    async def __call__(
        self, project: str, job_ids: Sequence[str], submission_id: str
    ) -> AsyncIterator[Job | RenderProgressed]:
        """Yield jobs and steps. Raises ``JobMissing``, ``SubmissionMissing`` and ``WatchesFull``."""
        if submission_id:
            job_ids = await self._of(project, submission_id)
        with self.watches.room(len(job_ids)):
            feed = self.progress.listen(project, job_ids)
            try:
                async for update in self._updates(project, job_ids, feed):
                    yield update
            finally:
                feed.close()

    async def _updates(
        self, project: str, job_ids: Sequence[str], feed: ProgressFeed
    ) -> AsyncIterator[Job | RenderProgressed]:
        watched = _Watched()
        asked: Sequence[str] = job_ids
        while True:
            read = await self.jobs.several(project, asked) if asked else []
            for job in read:
                if watched.moved(job):
                    yield job
            if not watched.states:
                return
            if read:
                await asyncio.sleep(watched.spread_s(ENDS_S))
            words = await _next_words(feed, watched.wake_time(self.clock.now()) - self.clock.now())
            for word in words:
                if watched.heard(word):
                    yield word
            asked = watched.to_read(self.clock.now(), silent=not words)

    async def _of(self, project: str, submission_id: str) -> list[str]:
        submission = await self.submissions.find(project, submission_id)
        if submission is None:
            raise SubmissionMissing(submission_id=submission_id)
        return [submission.job_id(shot) for shot in submission.shots]


async def _next_words(feed: ProgressFeed, timeout_s: float) -> list[RenderProgressed]:
    """Return the last word on each job that there is a word on; none when none comes within the time."""
    first = await feed.next(timeout_s) if timeout_s > 0 else None
    if first is None:
        return []
    return list({word.job_id: word for word in (first, *feed.waiting())}.values())


@dataclass
class _Watched:
    """What a watch knows of jobs that are not finished: the state that it has told, and the last one heard of."""

    states: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    look_time: float = 0.0
    change_time: float = 0.0

    def moved(self, job: Job) -> bool:
        """Take a document; tell whether its state is new."""
        is_new = job.state != self.states.get(job.id)
        self.states[job.id] = job.state
        self.changed.pop(job.id, None)
        if job.finished:
            del self.states[job.id]
        return is_new

    def heard(self, word: RenderProgressed) -> bool:
        """Take a word; tell whether it is of a step in the state that was told."""
        known = self.states.get(word.job_id)
        if known is not None and known != word.state:
            self.changed[word.job_id] = word.state
        return known == word.state

    def wake_time(self, now: float) -> float:
        """Return when documents are to be read though no word comes."""
        self.look_time = self.look_time or now + max(LOOK_AGAIN_S, len(self.states) / LOOKS_PER_S)
        return min(self.look_time, self.change_time) if self.changed else self.look_time

    def to_read(self, now: float, *, silent: bool) -> list[str]:
        """Return the jobs whose documents are to be read now."""
        if silent and not self.changed:
            self.look_time = 0.0
            return list(self.states)
        if silent or now >= self.change_time:
            self.change_time = now + self.spread_s(CHANGES_S)
            return list(self.changed)
        return [id for id, state in self.changed.items() if state in FINISHED]

    def spread_s(self, longest_s: float) -> float:
        """Return for how long changes gather before their documents are read: where few jobs are open, hardly."""
        return min(longest_s, len(self.states) * GATHER_S)
