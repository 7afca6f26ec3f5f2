"""Freeze the characters and the location that a job uses, or note who is missing."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from continuity.kernel.clock import Clock
from continuity.kernel.values import Change
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.job import Job, cast_found, cast_lacks
from services.rendering.handlers.stores import Cast, Jobs, OwnedJob

BATCH = 500
BATCHES = 4
"""How many in one go: whoever brings news of a character is not kept until all who wait for it are taken on."""
MAX_LEFT = 1_000
"""Of more the reconciler finds the jobs only when it is time to look at them."""


@dataclass(frozen=True)
class FreezeCast:
    """Looks into rendering's own projection; it asks nobody. It takes on ``batch`` waiting jobs at a look.

    ``left`` are those who were still waited for when there were enough.
    """

    cast: Cast
    jobs: Jobs
    clock: Clock
    batch: int = BATCH
    left: dict[tuple[str, str], None] = field(default_factory=dict)

    async def __call__(self, project: str, job: Job) -> bool:
        """Take a waiting job as far as its cast allows; false when that is where it stands."""
        change = await self.decide(project, job, {})
        if change is not None:
            await self.jobs.change(project, job.id, lambda now: change if now == job else None)
        return change is not None

    async def decide(self, project: str, job: Job, found: MutableMapping[str, CastEntry | None]) -> Change[Job] | None:
        """Return the job with its cast frozen, or waiting for the first one who is missing.

        ``found`` keeps who was found for the jobs that are decided on next.
        """
        entries: list[CastEntry] = []
        location = [job.shot.location_id] if job.shot.location_id else []
        for id in (*job.shot.character_ids, *location):
            if id not in found:
                found[id] = await self.cast.find(project, id)
            entry = found[id]
            if entry is None or entry.deleted:
                return cast_lacks(job, id, self.clock.now())
            entries.append(entry)
        place = entries.pop() if location else None
        return cast_found(job, FrozenCast(tuple(entries), place), self.clock.now())

    async def learn(self, project: str, entry: CastEntry) -> None:
        """Keep what was told of a character or location, and take on the jobs that waited for it, up to a number."""
        await self.cast.learn(project, entry)
        if not entry.deleted and not await self._took_all_on(project, entry.id) and len(self.left) < MAX_LEFT:
            self.left[project, entry.id] = None

    async def go_on(self) -> None:
        """Take on as many again of those who wait for the one that has been left the longest."""
        if self.left:
            project, id = key = next(iter(self.left))
            del self.left[key]
            self.left[key] = None
            if await self._took_all_on(project, id):
                del self.left[key]

    async def _took_all_on(self, project: str, id: str) -> bool:
        for _ in range(BATCHES):
            waiting = await self.jobs.waiting_for(project, id, self.batch)
            found: dict[str, CastEntry | None] = {}
            changes = [(owned, await self.decide(project, owned.job, found)) for owned in waiting]
            decided = [(owned, change) for owned, change in changes if change is not None]
            outcomes = await asyncio.gather(*(self._write(*each) for each in decided), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            # Nothing is decided where a newer entry says that it is deleted.
            if len(waiting) < self.batch or not decided:
                return True
        return False

    async def _write(self, owned: OwnedJob, change: Change[Job]) -> None:
        await self.jobs.change_owned(owned, lambda now: change if now == owned.job else None)
