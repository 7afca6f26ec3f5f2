"""Find jobs, with their place in the queue."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import ObjectRef
from services.rendering.domain.job import Job
from services.rendering.domain.takes import take_of
from services.rendering.handlers.ports import KeyframeFiles
from services.rendering.handlers.stores import Jobs

_log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024
MOST_AHEAD = 1_000
"""Whoever stands further back is not told how far."""


@dataclass(frozen=True)
class FindJobs:
    """Finds jobs and reads their keyframes."""

    jobs: Jobs
    files: KeyframeFiles

    async def __call__(self, project: str, job_id: str) -> tuple[Job, int | None]:
        """Return a job and how many stand before it, up to 1,000; None unless it is in line. Raises ``JobMissing``."""
        job = await self.jobs.get(project, job_id)
        return job, None if job.line_key is None else await self.jobs.ahead_of(job, MOST_AHEAD)

    async def keyframe(self, project: str, job_id: str, take: int = 0) -> AsyncIterator[bytes]:
        """Yield a take in chunks of 256 KiB at most. Raises ``JobMissing``, ``KeyframeMissing``, ``TakeMissing``."""
        keyframe = take_of(await self.jobs.get(project, job_id), take)
        data = await self.files.read(keyframe.object.key)
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    def image_url(self, job: Job) -> str:
        """Return where the keyframe can be read; empty until it is rendered, and where objects have no addresses."""
        return self.files.address(job.keyframe.object.key) if job.keyframe else ""

    async def preview(self, preview: ObjectRef) -> bytes:
        """Return a preview, empty when it cannot be read: the next one will do."""
        try:
            return await self.files.read(preview.key)
        except ContinuityError as error:
            _log.warning("a step is told without its preview: %s", error)
            return b""
