"""The pictures of a job: as many as were asked for, of seeds in a row."""

from __future__ import annotations

from services.rendering.domain.errors import KeyframeMissing, TakeMissing
from services.rendering.domain.job import Job
from services.rendering.domain.keyframe import Keyframe


def take_of(job: Job, take: int) -> Keyframe:
    """Return a take; 0 is the keyframe. Raises ``KeyframeMissing`` and ``TakeMissing``."""
    if job.keyframe is None:
        raise KeyframeMissing(job_id=job.id, state=job.state)
    if take >= len(job.takes):
        raise TakeMissing(job_id=job.id, takes=len(job.takes), take=take)
    return job.takes[take]
