"""Watch jobs: each as it is, then every change and step, until all are finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from services.rendering.domain.errors import SubmissionMissing, WatchesFull
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import FINISHED, Job
from services.rendering.handlers.ports import Progress, ProgressFeed, Word
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
    """Reads documents first and listens from before that, so that nothing falls between.

    A job that is written here is told as it was written; what other processes tell is read. ``elapsed`` is seconds that
    no clock change moves.
    """

    jobs: Jobs
    submissions: Submissions
    progress: Progress
    watches: Watches = field(default_factory=Watches)
    elapsed: Callable[[], float] = monotonic

    async def __call__(self, project: str, job_ids: Sequence[str], submission_id: str) -> AsyncIterator[Word]:
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

    async def _updates(self, project: str, job_ids: Sequence[str], feed: ProgressFeed) -> AsyncIterator[Word]:
        watched = _Watched()
        known: Sequence[Job] = await self.jobs.several(project, job_ids)
        while True:
            for job in known:
                if watched.moved(job):
                    yield job
            if not watched.open:
                return
            await asyncio.sleep(watched.spread_s(ENDS_S))
            words = await _next_words(feed, watched.wake_time(self.elapsed()) - self.elapsed())
            for word in words:
                if watched.heard(word):
                    yield word
            told, asked = watched.due(self.elapsed(), silent=not words)
            known = [*told, *await self.jobs.several(project, asked)] if asked else told

    async def _of(self, project: str, submission_id: str) -> list[str]:
        submission = await self.submissions.find(project, submission_id)
        if submission is None:
            raise SubmissionMissing(submission_id=submission_id)
        return [submission.job_id(shot) for shot in submission.shots]


async def _next_words(feed: ProgressFeed, timeout_s: float) -> list[Word]:
    """Return the last state of each job that was told of, and its last step since; none when no word comes in time.

    Words of several processes come in no order. An end is kept beside a state that came later, and a state that came
    late beside a newer one: where they disagree, the document is read.
    """
    first = await feed.next(timeout_s) if timeout_s > 0 else None
    if first is None:
        return []
    jobs: dict[str, Job] = {}
    steps: dict[str, RenderProgressed] = {}
    for word in (first, *feed.waiting()):
        id = word.id if isinstance(word, Job) else word.job_id
        ended = any(id in told and told[id].state in FINISHED for told in (jobs, steps))
        if isinstance(word, Job) and word.update_time >= jobs.get(id, word).update_time:
            jobs[id] = word
            if not ended:
                steps.pop(id, None)
        elif not ended:
            steps[id] = RenderProgressed(id, word.state) if isinstance(word, Job) else word
    return [*jobs.values(), *steps.values()]


@dataclass
class _Watched:
    """What a watch knows of jobs that are not finished: their state as it was shown, and what was told since."""

    open: dict[str, tuple[str, float]] = field(default_factory=dict)
    """State and time of its update, by job."""
    changed: dict[str, Word] = field(default_factory=dict)
    look_time: float = 0.0
    change_time: float = 0.0

    def moved(self, job: Job) -> bool:
        """Take a job as it was written; tell whether its state is new."""
        is_new = job.id not in self.open or self.open[job.id][0] != job.state
        self.open[job.id] = job.state, job.update_time
        self.changed.pop(job.id, None)
        if job.finished:
            del self.open[job.id]
        return is_new

    def heard(self, word: Word) -> bool:
        """Take a word; tell whether it is of a step in the state that was shown."""
        id = word.id if isinstance(word, Job) else word.job_id
        if id not in self.open:
            return False
        state, time = self.open[id]
        if word.state == state and id not in self.changed:
            return not isinstance(word, Job)
        before = self.changed.get(id)
        if isinstance(word, Job):
            # What another process has told may be newer: then the document says which.
            newest = before.update_time if isinstance(before, Job) else time
            unsure = word.update_time < newest or isinstance(before, RenderProgressed)
            self.changed[id] = RenderProgressed(id, word.state) if unsure else word
        elif before is None or before.state != word.state:
            self.changed[id] = word
        return False

    def wake_time(self, now: float) -> float:
        """Return when something is to be shown or read though no word comes."""
        self.look_time = self.look_time or now + max(LOOK_AGAIN_S, len(self.open) / LOOKS_PER_S)
        return min(self.look_time, self.change_time) if self.changed else self.look_time

    def due(self, now: float, *, silent: bool) -> tuple[list[Job], list[str]]:
        """Return the jobs that are to be shown now as they were told, and those whose documents are to be read."""
        if silent and not self.changed:
            self.look_time = 0.0
            return [], list(self.open)
        words = list(self.changed.values())
        if silent or now >= self.change_time:
            self.change_time = now + self.spread_s(CHANGES_S)
        else:
            words = [word for word in words if word.state in FINISHED]
        told = [word for word in words if isinstance(word, Job)]
        return told, [word.job_id for word in words if isinstance(word, RenderProgressed)]

    def spread_s(self, longest_s: float) -> float:
        """Return for how long changes gather: where few jobs are open, hardly."""
        return min(longest_s, len(self.open) * GATHER_S)
