"""Jobs in the document store; the queue is a query over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from continuity.documents.port import Collection, Condition, DocumentMissing, at_most, equal, one_of
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates, Stored
from services.rendering.domain.errors import JobMissing
from services.rendering.domain.fair_queue import last_key
from services.rendering.domain.job import READY, RENDERING, UNFINISHED, Job
from services.rendering.handlers.stores import OwnedJob

KEYFRAME = "keyframe.object.key"
LOOK_ORDER = ("look_time", "line_key")
"""The place in line is there to find the jobs that have neither."""
JOBS = Collection(
    "jobs",
    indexes=(("line_key",), ("renderer", "state", "line_key"), ("state", *LOOK_ORDER), (KEYFRAME,)),
    listings=(
        ("-create_time", "queue_key"),
        ("state", "-create_time", "queue_key"),
        ("submission_id", "queue_key"),
        ("waiting_for", "queue_key"),
    ),
)
PAGE = 500
NEW_LIMIT = 2_000
"""Jobs that are kept as they were added: most are changed next by their prompt, and so need not be read for it."""
IN_LINE = [at_most("line_key", last_key(0))]
"""Whatever its priority is."""
NEVER = 1e12
"""Later than every time to look."""


class StoredJobs:
    """The ``Jobs`` port, for the renderer of this name."""

    def __init__(self, aggregates: Aggregates[Job], renderer: str | None = None) -> None:
        self._aggregates = aggregates
        self._renderers: list[str | None] = [None] if renderer is None else [renderer, None]
        self._nobodys_first = True
        self._new: dict[tuple[str, str], Stored[Job]] = {}

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
        added = await self._aggregates.add_each(project, {change.aggregate.id: change for change in changes})
        self._new |= {(project, id): stored for id, stored in added.items()}
        for key in list(self._new)[:-NEW_LIMIT]:
            del self._new[key]
        return set(added)

    async def change(self, project: str, id: str, decide: Callable[[Job], Change[Job] | None]) -> Job:
        """Change a job by a decision. Raises ``JobMissing`` and what the decision raises."""
        known = self._new.pop((project, id), None)
        try:
            if known is not None:
                return (await self._aggregates.change_known(known, decide)).aggregate
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
        return await self._some([equal("state", state), at_most("look_time", now)], None, LOOK_ORDER, limit)

    async def last_due(self, state: str, limit: int) -> list[OwnedJob]:
        """Return those jobs in a state that are to be looked at the furthest ahead."""
        backwards = [f"-{field}" for field in LOOK_ORDER]
        return await self._some([equal("state", state), at_most("look_time", NEVER)], None, backwards, limit)

    async def astray(self, state: str, limit: int) -> list[OwnedJob]:
        """Return jobs in a state that have neither a place in line nor a time to be looked at."""
        neither = [equal(field, None) for field in LOOK_ORDER]
        return await self._some([equal("state", state), *neither], None, [], limit)

    async def has_unpublished(self, project: str, id: str) -> bool:
        """Tell whether events of a job wait to be published."""
        return await self._aggregates.has_unpublished(project, id)

    async def rendering(self) -> list[OwnedJob]:
        """Return every job that is leased."""
        return await self._all([equal("state", RENDERING)], None, LOOK_ORDER)

    async def ahead_of(self, job: Job, limit: int) -> int:
        """Return how many jobs of its renderer stand in line before this one, counted to ``limit``."""
        before = [*_in_line_for(job.renderer), at_most("line_key", job.queue_key - 1)]
        return await self._aggregates.count(before, project=None, limit=limit)

    async def unfinished(self, project: str | None, limit: int) -> int:
        """Return how many jobs of a project (None: of all) are not finished, counted to ``limit``."""
        return await self._aggregates.count([one_of("state", UNFINISHED)], project=project, limit=limit)

    async def undrawn(self, limit: int) -> int:
        """Return how many jobs that this renderer may draw are not finished, counted to ``limit``."""
        undrawn = 0
        for renderer in self._renderers:
            mine = [equal("renderer", renderer), one_of("state", UNFINISHED)]
            undrawn += await self._aggregates.count(mine, project=None, limit=limit)
        return min(undrawn, limit)

    async def lease(self, now: float, until: float, token: str, limit: int, least_priority: int = 0) -> list[OwnedJob]:
        """Take the first jobs in line that have the least priority, or more, as RENDERING under the token.

        Those of another renderer stay where they are. There may be more than it returns; where it returns none, there
        are none.
        """
        lease = {"state": RENDERING, "lease_token": token, "lease_until": until, "started_time": now}
        changes = {**lease, "line_key": None, "update_time": now}
        for renderer in self._in_turn():
            where = [*_in_line_for(renderer), at_most("line_key", last_key(least_priority))]
            found = await self._aggregates.claim(where, ["line_key"], changes, limit)
            if renderer is None and not least_priority:
                self._nobodys_first = len(found) == limit
            if found:  # a second claim that failed would lose them
                return [_owned(stored) for stored in found]
        return []

    def _in_turn(self) -> list[str | None]:
        """Return whose jobs are taken first: those that an older version has left until there are none, later ours."""
        return self._renderers[::-1] if self._nobodys_first else self._renderers

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


def _in_line_for(renderer: str | None) -> list[Condition]:
    return [equal("renderer", renderer), equal("state", READY)]


def _owned(stored: Stored[Job]) -> OwnedJob:
    return OwnedJob(stored.project, stored.aggregate, stored.traceparent, stored.version, stored.inbox)
