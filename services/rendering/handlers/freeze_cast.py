"""Freeze the characters and the location that a job uses, or note who is missing."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.values import Change
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.job import Job, cast_found, cast_lacks
from services.rendering.handlers.ports import Cast, Jobs

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
        change = await self.decide(project, job)
        if change is not None:
            await self.jobs.change(project, job.id, lambda now: change if now == job else None)
        return change is not None

    async def decide(self, project: str, job: Job) -> Change[Job] | None:
        """Return the job with its cast frozen, or waiting for the first one who is missing."""
        characters: list[CastEntry] = []
        for id in job.shot.character_ids:
            entry = await self.cast.find(project, id)
            if entry is None or entry.deleted:
                return cast_lacks(job, id, self.clock.now())
            characters.append(entry)
        location = None
        if job.shot.location_id:
            location = await self.cast.find(project, job.shot.location_id)
            if location is None or location.deleted:
                return cast_lacks(job, job.shot.location_id, self.clock.now())
        return cast_found(job, FrozenCast(tuple(characters), location), self.clock.now())

    async def learn(self, project: str, entry: CastEntry) -> None:
        """Keep what was told of a character or location, and take on the jobs that waited for it."""
        await self.cast.learn(project, entry)
        moved = not entry.deleted
        while moved:
            waiting = await self.jobs.waiting_for(project, entry.id, self.batch)
            # Nobody moves where a newer entry says that it is deleted.
            moved = any([await self(owned.project, owned.job) for owned in waiting])
