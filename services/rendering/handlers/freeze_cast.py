"""Freeze the characters and the location that a job uses, or note who is missing."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.values import Change
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.job import Job, cast_found, cast_lacks
from services.rendering.handlers.stores import Cast, Jobs

BATCH = 500


@dataclass(frozen=True)
class FreezeCast:
    """Looks into rendering's own projection; it asks nobody. It takes on ``batch`` waiting jobs at a look."""

    cast: Cast
    jobs: Jobs
    clock: Clock
    batch: int = BATCH

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
        """Keep what was told of a character or location, and take on the jobs that waited for it."""
        await self.cast.learn(project, entry)
        moved = not entry.deleted
        while moved:
            waiting = await self.jobs.waiting_for(project, entry.id, self.batch)
            # Nobody moves where a newer entry says that it is deleted.
            moved = any([await self(owned.project, owned.job) for owned in waiting])
