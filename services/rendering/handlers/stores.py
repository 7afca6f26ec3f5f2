"""What the use cases keep: jobs, submissions, the cast, and the order of the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from continuity.kernel.values import Change
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.fair_queue import QueueTail
from services.rendering.domain.job import Job
from services.rendering.domain.submission import Submission


@dataclass(frozen=True)
class OwnedJob:
    """A job, the project that it belongs to, and the trace that it was accepted in.

    ``version`` and ``inbox`` are those of its document.
    """

    project: str
    job: Job
    traceparent: str | None = None
    version: int = 0
    inbox: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnedSubmission:
    """A submission, the project that it belongs to, and the trace that it was accepted in."""

    project: str
    submission: Submission
    traceparent: str | None = None


class Jobs(Protocol):
    """The jobs of every project; it is also the queue, of which one renderer draws its own and those of none."""

    async def get(self, project: str, id: str) -> Job:
        """Return a job. Raises ``JobMissing``."""
        ...

    async def several(self, project: str, ids: Sequence[str]) -> list[Job]:
        """Return jobs in the order of their ids. Raises ``JobMissing``."""
        ...

    async def add_each(self, project: str, changes: Sequence[Change[Job]]) -> set[str]:
        """Write new jobs; return the ids of those that did not exist."""
        ...

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        """Change a job by a decision. Raises ``JobMissing`` and what the decision raises."""
        ...

    async def change_owned(self, owned: OwnedJob, decide: Callable[[Job], Change[Job] | None]) -> OwnedJob:
        """Change a job that the caller has just leased or changed; return it as it is then."""
        ...

    async def page(self, project: str, state: str, submission_id: str, limit: int, token: str) -> tuple[list[Job], str]:
        """Return jobs, newest first; an empty state or submission means every one."""
        ...

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        """Return jobs whose cast lacks this character or location."""
        ...

    async def due(self, state: str, now: float, limit: int) -> list[OwnedJob]:
        """Return jobs of every project in a state whose time to be looked at has come, the longest due first."""
        ...

    async def last_due(self, state: str, limit: int) -> list[OwnedJob]:
        """Return those jobs in a state that are to be looked at the furthest ahead."""
        ...

    async def astray(self, state: str, limit: int) -> list[OwnedJob]:
        """Return jobs in a state that have neither a place in line nor a time to be looked at."""
        ...

    async def has_unpublished(self, project: str, id: str) -> bool:
        """Tell whether events of a job wait to be published."""
        ...

    async def rendering(self) -> list[OwnedJob]:
        """Return every job that is leased."""
        ...

    async def ahead_of(self, job: Job, limit: int) -> int:
        """Return how many jobs of its renderer stand in line before this one, counted to ``limit``."""
        ...

    async def unfinished(self, project: str | None, limit: int) -> int:
        """Return how many jobs of a project (None: of all) are not finished, counted to ``limit``."""
        ...

    async def undrawn(self, limit: int) -> int:
        """Return how many jobs that this renderer may draw are not finished, counted to ``limit``."""
        ...

    async def lease(self, now: float, until: float, token: str, limit: int, least_priority: int = 0) -> list[OwnedJob]:
        """Take the first jobs in line that have the least priority, or more, as RENDERING under the token.

        Those of another renderer stay where they are. There may be more than it returns; where it returns none, there
        are none.
        """
        ...


class Submissions(Protocol):
    """The submissions of every project."""

    async def add(self, project: str, submission: Submission) -> bool:
        """Write a new submission; false when its id exists already."""
        ...

    async def find(self, project: str, id: str) -> Submission | None:
        """Return a submission; None when there is none."""
        ...

    async def fanned_out(self, project: str, id: str) -> None:
        """Note that every job exists."""
        ...

    async def unfinished(self, before: float, limit: int, token: str) -> tuple[list[OwnedSubmission], str]:
        """Return submissions of every project that are older than a time and not fanned out, and the next page's token.

        The oldest come first.
        """
        ...


class Cast(Protocol):
    """Characters and locations as their events told of them."""

    async def find(self, project: str, id: str) -> CastEntry | None:
        """Return the newest entry, deleted or not; None when nothing was told of this id."""
        ...

    async def learn(self, project: str, entry: CastEntry) -> None:
        """Keep the entry unless a newer one is known."""
        ...


class Queues(Protocol):
    """Where each project's line ends, and how far the queue has been drawn, for each priority."""

    async def tail(self, project: str, priority: int) -> QueueTail:
        """Return the end of a project's line."""
        ...

    async def extend(self, project: str, priority: int, decide: Callable[[QueueTail], QueueTail]) -> QueueTail:
        """Replace the end of a project's line by a decision, which is made again when somebody else was first."""
        ...

    async def drawn(self, priority: int) -> int:
        """Return the greatest tag that was told to have been drawn; 0 when none was."""
        ...

    async def tell_drawn(self, priority: int, tag: int) -> None:
        """Tell that a tag was drawn."""
        ...
