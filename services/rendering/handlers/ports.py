"""What the use cases need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from continuity.kernel.values import Change, ObjectRef
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.domain.submission import Submission


@dataclass(frozen=True)
class OwnedJob:
    """A job and the project that it belongs to."""

    project: str
    job: Job


class Jobs(Protocol):
    """The jobs of every project; it is also the queue."""

    async def get(self, project: str, id: str) -> Job:
        """Return a job. Raises ``JobMissing``."""
        ...

    async def add(self, project: str, change: Change[Job]) -> bool:
        """Write a new job; false when it exists already."""
        ...

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        """Change a job by a decision. Raises ``JobMissing`` and what the decision raises."""
        ...

    async def of_submission(self, project: str, submission_id: str) -> list[Job]:
        """Return all jobs of a submission in the order of its shots."""
        ...

    async def page(self, project: str, state: str, submission_id: str, limit: int, token: str) -> tuple[list[Job], str]:
        """Return jobs, newest first; an empty state or submission means every one."""
        ...

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        """Return jobs whose cast lacks this character or location."""
        ...

    async def standing(self, state: str, before: float, limit: int) -> list[OwnedJob]:
        """Return jobs of every project in a state since before a time (seconds since the epoch)."""
        ...

    async def ahead_of(self, job: Job) -> int:
        """Return how many jobs stand before a READY job."""
        ...

    async def unfinished(self) -> int:
        """Return how many jobs of every project are not finished."""
        ...

    async def lease_next(self, now: float, until: float, token: str) -> OwnedJob | None:
        """Take the first job of the queue as RENDERING under the token; None when none is due."""
        ...

    async def take_over_lapsed(self, now: float, until: float, token: str) -> OwnedJob | None:
        """Take a job whose lease has lapsed; None when there is none."""
        ...


class Submissions(Protocol):
    """The submissions of every project."""

    async def add(self, project: str, submission: Submission) -> bool:
        """Write a new submission; false when its id exists already."""
        ...

    async def get(self, project: str, id: str) -> Submission:
        """Return a submission. Raises ``DocumentMissing``."""
        ...

    async def fanned_out(self, project: str, id: str) -> None:
        """Note that every job exists."""
        ...

    async def unfinished(self, before: float, limit: int) -> list[tuple[str, Submission]]:
        """Return submissions (with their project) that are older than a time and not fanned out."""
        ...


class Cast(Protocol):
    """Characters and locations as their events told of them."""

    async def find(self, project: str, id: str) -> CastEntry | None:
        """Return the newest entry, deleted or not; None when nothing was told of this id."""
        ...

    async def learn(self, project: str, entry: CastEntry) -> None:
        """Keep the entry unless a newer one is known."""
        ...


@dataclass(frozen=True)
class RenderTask:
    """What a renderer gets: the frozen job."""

    project: str
    job: Job


@dataclass(frozen=True)
class Step:
    """A step that a renderer took. ``preview`` is a JPEG of at most 320 px width, empty when there is none."""

    step: int
    steps: int
    preview: bytes


@dataclass(frozen=True)
class Picture:
    """A finished picture: RGB, uint8, shape (height, width, 3)."""

    pixels: NDArray[np.uint8]


class Renderer(Protocol):
    """Draws keyframes."""

    name: str
    """Name and version; the same name draws the same picture from the same task."""

    def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        """Yield steps and, last, the picture. Closing the iterator stops the work. Raises ``ContinuityError``."""
        ...

    async def check(self) -> None:
        """Raise ``RendererDown`` unless it can draw now."""
        ...


class KeyframeFiles(Protocol):
    """Keyframes and previews as files."""

    async def store(self, task: RenderTask, picture: Picture, renderer: str) -> ObjectRef:
        """Encode a picture with its prompt and settings and store it under the hash of its bytes."""
        ...

    async def store_preview(self, project: str, jpeg: bytes) -> ObjectRef:
        """Store a preview under the hash of its bytes."""
        ...

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        ...


class Progress(Protocol):
    """Tells everybody who watches. Nothing is lost when it fails: the job is the truth."""

    async def tell(self, project: str, progress: RenderProgressed) -> None:
        """Send once; never raises for a broker that is away."""
        ...

    def listen(self, project: str, job_ids: Sequence[str]) -> ProgressFeed:
        """Return what is told of these jobs from now on."""
        ...


class ProgressFeed(Protocol):
    """What is told of some jobs. Bounded: when the reader is slow the oldest is dropped."""

    async def next(self, timeout_s: float) -> RenderProgressed | None:
        """Return the next word, or None when none comes within the time."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...
