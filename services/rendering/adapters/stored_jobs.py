"""Jobs in the document store; the queue is a query over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from continuity.documents.port import Collection, Condition, DocumentMissing, at_most, equal, one_of
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates, Stored
from services.rendering.domain.errors import JobMissing
from services.rendering.domain.job import RENDERING, UNFINISHED, Job
from services.rendering.handlers.stores import OwnedJob

KEYFRAME = "keyframe.object.key"
JOBS = Collection(
    "jobs",
    indexes=(("line_key",), ("state", "look_time"), (KEYFRAME,)),
    listings=(
        ("-create_time", "queue_key"),
        ("state", "-create_time", "queue_key"),
        ("submission_id", "queue_key"),
        ("waiting_for", "queue_key"),
    ),
)
PAGE = 500
IN_LINE = [at_most("line_key", 2**62)]
"""Behind every place in the line there is more than that."""
NEVER = 1e12
"""Later than every time to look."""


class StoredJobs:
    """The ``Jobs`` port."""

    def __init__(self, aggregates: Aggregates[Job]) -> None:
        self._aggregates = aggregates

    async def get(self, project: str, id: str) -> Job:
        """Return a job. Raises ``JobMissing``."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            raise JobMissing(job_id=id) from None

    async def several(self, project: str, ids: Sequence[str]) -> list[Job]:
        """Return jobs in the order of their ids. Raises ``JobMissing``."""
        found: dict[str, Job] = {}
        for start in range(0, len(ids), PAGE):
            found |= await self._aggregates.several(project, ids[start : start + PAGE])
        for id in ids:
            if id not in found:
                raise JobMissing(job_id=id)
        return [found[id] for id in ids]

    async def add_each(self, project: str, changes: Sequence[Change[Job]]) -> set[str]:
        """Write new jobs; return the ids of those that did not exist."""
        return await self._aggregates.add_each(project, {change.aggregate.id: change for change in changes})

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        """Change a job by a decision. Raises ``JobMissing`` and what the decision raises."""
        try:
            return await self._aggregates.change(project, id, decide)
        except DocumentMissing:
            raise JobMissing(job_id=id) from None

    async def change_owned(self, owned: OwnedJob, decide: Callable[[Job], Change[Job] | None]) -> OwnedJob:
        """Change a job that the caller has just leased or changed; return it as it is then."""
        known = Stored(owned.job, owned.project, owned.job.id, owned.version, owned.traceparent, owned.inbox)
        try:
            return _owned(await self._aggregates.change_known(known, decide))
        except DocumentMissing:
            raise JobMissing(job_id=owned.job.id) from None

    async def of_submission(self, project: str, submission_id: str) -> list[Job]:
        """Return all jobs of a submission in the order of its shots."""
        every = await self._all([equal("submission_id", submission_id)], project, ["queue_key"])
        return [owned.job for owned in every]

    async def page(self, project: str, state: str, submission_id: str, limit: int, token: str) -> tuple[list[Job], str]:
        """Return jobs, newest first; an empty state or submission means every one."""
        where = [equal("submission_id", submission_id)] if submission_id else []
        where += [equal("state", state)] if state else []
        # The jobs of one submission are of the same age.
        order = ["queue_key"] if submission_id else ["-create_time", "queue_key"]
        found, next_token = await self._aggregates.page(where, project=project, order=order, limit=limit, token=token)
        return [stored.aggregate for stored in found], next_token

    async def waiting_for(self, project: str, id: str, limit: int) -> list[OwnedJob]:
        """Return jobs whose cast lacks this character or location."""
        return await self._some([equal("waiting_for", id)], project, ["queue_key"], limit)

    async def due(self, state: str, now: float, limit: int) -> list[OwnedJob]:
        """Return jobs of every project in a state whose time to be looked at has come, the longest due first."""
        return await self._some([equal("state", state), at_most("look_time", now)], None, ["look_time"], limit)

    async def last_due(self, state: str, limit: int) -> list[OwnedJob]:
        """Return those jobs in a state that are to be looked at the furthest ahead."""
        return await self._some([equal("state", state), at_most("look_time", NEVER)], None, ["-look_time"], limit)

    async def rendering(self) -> list[OwnedJob]:
        """Return every job that is leased."""
        return await self._all([equal("state", RENDERING)], None, ["look_time"])

    async def ahead_of(self, job: Job, limit: int) -> int:
        """Return how many jobs stand in line before this one, counted to ``limit``."""
        before = [at_most("line_key", job.queue_key - 1)]
        return await self._aggregates.count(before, project=None, limit=limit)

    async def unfinished(self, project: str | None, limit: int) -> int:
        """Return how many jobs of a project (None: of all) are not finished, counted to ``limit``."""
        return await self._aggregates.count([one_of("state", UNFINISHED)], project=project, limit=limit)

    async def lease(self, now: float, until: float, token: str, limit: int) -> list[OwnedJob]:
        """Take the first jobs in line as RENDERING under the token."""
        lease = {"state": RENDERING, "lease_token": token, "lease_until": until, "started_time": now}
        changes = {**lease, "line_key": None, "update_time": now}
        return [_owned(stored) for stored in await self._aggregates.claim(IN_LINE, ["line_key"], changes, limit)]

    async def _some(
        self, where: Sequence[Condition], project: str | None, order: Sequence[str], limit: int
    ) -> list[OwnedJob]:
        found, _ = await self._aggregates.page(where, project=project, order=order, limit=limit)
        return [_owned(stored) for stored in found]

    async def _all(self, where: Sequence[Condition], project: str | None, order: Sequence[str]) -> list[OwnedJob]:
        every: list[OwnedJob] = []
        token = ""
        while True:
            found, token = await self._aggregates.page(where, project=project, order=order, limit=PAGE, token=token)
            every += [_owned(stored) for stored in found]
            if not token:
                return every


def _owned(stored: Stored[Job]) -> OwnedJob:
    return OwnedJob(stored.project, stored.aggregate, stored.traceparent, stored.version, stored.inbox)
