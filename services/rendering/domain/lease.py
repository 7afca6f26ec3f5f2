"""What a worker that holds a job's lease may do to it, and what becomes of a job whose worker is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from continuity.kernel.values import Change, Failure
from services.rendering.domain.errors import WorkerLost
from services.rendering.domain.events import KeyframeRendered
from services.rendering.domain.job import READY, RENDERING, SUCCEEDED, Job, ended, expired, failed, in_line
from services.rendering.domain.keyframe import Keyframe, StageTimings

MAX_ATTEMPTS = 3
MAX_CRASHES = 2
"""How often a renderer may die of the job: no third one is risked."""
MAX_INTERRUPTIONS = 10
"""How often the renderer may go away under a job before the job is suspected of doing it."""


def rendered(job: Job, token: str, takes: Sequence[Keyframe], now: float) -> Change[Job] | None:
    """Take the pictures; None when the lease is no longer the worker's."""
    if not _leased(job, token) or job.prompt is None:
        return None
    first, *others = (replace(take, timings=_timings(job, take.timings)) for take in takes)
    done = replace(ended(job, SUCCEEDED, now), keyframe=first, more_takes=tuple(others), attempts=job.attempts + 1)
    return Change(done, [KeyframeRendered(job.id, job.film, job.shot, first, job.prompt, done.takes)])


def attempt_failed(
    job: Job, token: str, failure: Failure, now: float, *, retry_after_s: float | None, crashed: bool = False
) -> Change[Job] | None:
    """Go back to the queue, or fail for good after three attempts, at the deadline or when ``retry_after_s`` is None.

    It fails for good, too, when the renderer ``crashed`` over it the second time. None when the lease is gone.
    """
    if not _leased(job, token):
        return None
    counted = replace(job, attempts=job.attempts + 1, crashes=job.crashes + crashed, last_failure=failure)
    if late := expired(counted, now):
        return late
    if retry_after_s is None or counted.attempts >= MAX_ATTEMPTS or counted.crashes >= MAX_CRASHES:
        return failed(counted, failure, now)
    return Change(_back(counted, now, retry_after_s))


def interrupted(job: Job, token: str, failure: Failure, delay_s: float, now: float) -> Change[Job] | None:
    """Go back to the queue because the renderer went away; fail when it has done so ten times under this job.

    None when the lease is gone.
    """
    if not _leased(job, token):
        return None
    counted = replace(job, interruptions=job.interruptions + 1, last_failure=failure)
    if counted.interruptions >= MAX_INTERRUPTIONS:
        return failed(counted, failure, now)
    return Change(_back(counted, now, delay_s))


def put_off(job: Job, token: str, failure: Failure, delay_s: float, now: float) -> Change[Job] | None:
    """Go back without blame because something that every job needs is away; None when the lease is gone."""
    if not _leased(job, token):
        return None
    return expired(job, now) or Change(_back(replace(job, last_failure=failure), now, delay_s))


def handed_back(job: Job, token: str, now: float) -> Change[Job] | None:
    """Go back into the line without blame: the worker stops. None when the lease is gone."""
    return Change(_back(job, now)) if _leased(job, token) else None


def lease_renewed(job: Job, token: str, until: float) -> Change[Job] | None:
    """Keep the lease; None when it is no longer the worker's."""
    return Change(replace(job, lease_until=until)) if _leased(job, token) else None


def lease_lapsed(job: Job, token: str, until: float, now: float) -> Change[Job] | None:
    """Take the job from a worker that is not heard of: back into the line, or failed for good after three attempts.

    None when the worker has renewed its lease since it was seen to last ``until``, or no longer has it.
    """
    if not _leased(job, token) or job.lease_until != until:
        return None
    failure = Failure.of(WorkerLost(attempts=job.attempts + 1))
    counted = replace(job, attempts=job.attempts + 1, last_failure=failure)
    return failed(counted, failure, now) if counted.attempts >= MAX_ATTEMPTS else Change(_back(counted, now))


def _back(job: Job, now: float, delay_s: float = 0.0) -> Job:
    ready = replace(job, state=READY, lease_token="", update_time=now)
    return replace(ready, look_time=job.look_at(now + delay_s)) if delay_s else in_line(ready, now)


def _leased(job: Job, token: str) -> bool:
    return job.state == RENDERING and job.lease_token == token


def _timings(job: Job, drawn: StageTimings) -> StageTimings:
    return replace(
        drawn,
        cast_s=max(0.0, job.requested_time - job.create_time),
        prompt_s=max(0.0, job.ready_time - job.requested_time),
        queue_s=max(0.0, job.started_time - job.ready_time),
    )
