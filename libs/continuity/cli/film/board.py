"""Where the jobs of a film stand, as their watch tells it."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import NamedTuple

from continuity.api.rendering.v1.job_pb2 import (
    JOB_STATE_READY,
    JOB_STATE_REQUESTED,
    JOB_STATE_SUCCEEDED,
    Job,
    JobState,
)
from continuity.api.rendering.v1.render_service_pb2 import WatchJobsResponse
from continuity.client.shots import FINISHED
from continuity.wire.conversion import word


class Stage(IntEnum):
    """What every job goes through, each with the first state behind it."""

    CAST = JOB_STATE_REQUESTED
    PROMPT = JOB_STATE_READY
    FRAME = JOB_STATE_SUCCEEDED


class Drawing(NamedTuple):
    """A job that is being rendered, and how far it is."""

    job: Job
    step: int
    steps: int


class Board:
    """Jobs by id, with the steps that are done of those that are being rendered."""

    def __init__(self, expected: int) -> None:
        self.saved = 0
        self._expected = expected
        self._jobs: dict[str, Job] = {}
        self._states: dict[str, JobState.ValueType] = {}
        self._steps: dict[str, tuple[int, int]] = {}

    @property
    def total(self) -> int:
        """How many jobs there are, known or expected."""
        return max(self._expected, len(self._jobs))

    def jobs(self) -> list[Job]:
        """Return the jobs in the order in which they were first seen."""
        return list(self._jobs.values())

    def apply(self, update: WatchJobsResponse) -> Job | None:
        """Take in an update; return the job when it has finished just now."""
        if update.HasField("progress"):
            self._states[update.progress.job_id] = update.progress.state
            self._steps[update.progress.job_id] = update.progress.step, update.progress.steps
            return None
        job = update.job
        known = self._jobs.get(job.id)
        self._jobs[job.id] = job
        self._states[job.id] = job.state
        self._steps.pop(job.id, None)
        return job if job.state in FINISHED and (known is None or known.state not in FINISHED) else None

    def passed(self, stage: Stage) -> float:
        """Return how many jobs have the stage behind them; a frame that is being drawn counts by its share."""
        if stage is Stage.FRAME:
            return sum(state >= stage or self._share(id) for id, state in self._states.items())
        return sum(state >= stage for state in self._states.values())

    def drawing(self) -> list[Drawing]:
        """Return the jobs of which steps are known, in the order in which they were begun."""
        return [Drawing(self._jobs[id], *done) for id, done in self._steps.items() if id in self._jobs and done[1]]

    def _share(self, id: str) -> float:
        step, steps = self._steps.get(id, (0, 0))
        return step / max(steps, 1)

    def finished(self) -> int:
        """Return how many jobs have succeeded, failed or been cancelled."""
        return sum(state in FINISHED for state in self._states.values())

    def summary(self) -> str:
        """Return the count of each state, such as ``11 succeeded, 1 failed``."""
        counts = Counter(word(JobState.DESCRIPTOR, state) for state in self._states.values())
        return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"
