"""A render job: one shot on its way to a keyframe. Every transition is a function that returns a Change, or None."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.values import Change, Failure
from services.rendering.domain.cast import CastMember, FrozenCast
from services.rendering.domain.errors import JobFinished
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, KeyframeRendered, RenderRequested
from services.rendering.domain.keyframe import Keyframe, Prompt, StageTimings
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission

WAITING = "waiting-for-cast"
REQUESTED = "requested"
READY = "ready"
RENDERING = "rendering"
SUCCEEDED = "succeeded"
FAILED = "failed"
CANCELLED = "cancelled"
FINISHED = (SUCCEEDED, FAILED, CANCELLED)
UNFINISHED = (WAITING, REQUESTED, READY, RENDERING)

MAX_ATTEMPTS = 3
MAX_INTERRUPTIONS = 10
"""How often the renderer may go away under a job before the job is suspected of doing it."""
_TOP_PRIORITY = 100


@dataclass(frozen=True)
class Job:
    """``lease_token`` fences the worker that renders; ``waiting_for`` is the id that the cast lacks.

    ``queue_key`` orders the queue: higher priorities first, then the order of arrival.
    """

    id: str
    submission_id: str
    film: str
    film_seed: int
    shot: Shot
    state: str
    priority: int
    queue_key: int
    width_px: int
    height_px: int
    create_time: float
    update_time: float
    waiting_for: str | None = None
    cast: tuple[CastMember, ...] = ()
    characters: tuple[str, ...] = ()
    location: str | None = None
    prompt: Prompt | None = None
    keyframe: Keyframe | None = None
    failure: Failure | None = None
    attempts: int = 0
    interruptions: int = 0
    not_before: float = 0.0
    lease_token: str = ""
    lease_until: float = 0.0
    requested_time: float = 0.0
    ready_time: float = 0.0
    started_time: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in FINISHED


def submitted(submission: Submission, position: int, now: float) -> Job:
    """Return the job of the submission's shot at ``position``, waiting for its cast."""
    shot = submission.shots[position]
    arrival_us = int(submission.create_time * 1e6) + position
    return Job(
        id=submission.job_id(shot),
        submission_id=submission.id,
        film=submission.film,
        film_seed=submission.seed,
        shot=shot,
        state=WAITING,
        priority=submission.priority,
        queue_key=(_TOP_PRIORITY - submission.priority) * 10**16 + arrival_us,
        width_px=submission.width_px,
        height_px=submission.height_px,
        create_time=submission.create_time,
        update_time=now,
    )


def cast_found(job: Job, cast: FrozenCast, now: float) -> Change[Job] | None:
    """Freeze the cast and ask for the prompt; None when that has been done."""
    if job.state != WAITING:
        return None
    frozen = replace(
        job,
        state=REQUESTED,
        waiting_for=None,
        cast=cast.members,
        characters=tuple(entry.content for entry in cast.characters),
        location=cast.location.content if cast.location else None,
        requested_time=now,
        update_time=now,
    )
    return Change(frozen, [requested(frozen)])


def requested(job: Job) -> RenderRequested:
    """Return the event that asks for the job's prompt."""
    return RenderRequested(job.id, job.film, job.shot, job.characters, job.location, job.film_seed)


def cast_lacks(job: Job, missing: str, now: float) -> Change[Job] | None:
    """Wait for the one that is missing; None when the job does already."""
    if job.state != WAITING or job.waiting_for == missing:
        return None
    return Change(replace(job, waiting_for=missing, update_time=now))


def prompted(job: Job, prompt: Prompt, now: float) -> Change[Job] | None:
    """Take the prompt and stand in the queue; None when the job does not wait for one."""
    if job.state != REQUESTED:
        return None
    return Change(replace(job, state=READY, prompt=prompt, ready_time=now, update_time=now))


def prompt_failed(job: Job, failure: Failure, now: float) -> Change[Job] | None:
    """End because there is no prompt; None when the job does not wait for one."""
    return failed(job, failure, now) if job.state == REQUESTED else None


def rendered(job: Job, token: str, keyframe: Keyframe, now: float) -> Change[Job] | None:
    """Take the picture; None when the lease is no longer the worker's."""
    if not _leased(job, token) or job.prompt is None:
        return None
    timed = replace(keyframe, timings=_timings(job, keyframe.timings))
    done = replace(job, state=SUCCEEDED, keyframe=timed, attempts=job.attempts + 1, lease_token="", update_time=now)
    return Change(done, [KeyframeRendered(job.id, job.film, job.shot, timed, job.prompt)])


def attempt_failed(
    job: Job, token: str, failure: Failure, now: float, *, retry_after_s: float | None
) -> Change[Job] | None:
    """Go back to the queue, or fail for good after three attempts or when ``retry_after_s`` is None.

    None when the lease is gone.
    """
    if not _leased(job, token):
        return None
    attempts = job.attempts + 1
    if retry_after_s is None or attempts >= MAX_ATTEMPTS:
        return failed(replace(job, attempts=attempts), failure, now)
    waiting = replace(
        job, state=READY, attempts=attempts, lease_token="", not_before=now + retry_after_s, update_time=now
    )
    return Change(waiting)


def worker_lost(job: Job, token: str, failure: Failure, now: float) -> Change[Job] | None:
    """Count the attempt of a worker that was not heard of again, and fail for good after three.

    ``token`` is that of the worker that took over; None when it has lost the lease in turn.
    """
    if not _leased(job, token):
        return None
    counted = replace(job, attempts=job.attempts + 1)
    return failed(counted, failure, now) if counted.attempts >= MAX_ATTEMPTS else Change(counted)


def handed_back(job: Job, token: str, delay_s: float, now: float) -> Change[Job] | None:
    """Go back to the queue without blame: the worker stops."""
    if not _leased(job, token):
        return None
    return Change(replace(job, state=READY, lease_token="", not_before=now + delay_s, update_time=now))


def interrupted(job: Job, token: str, failure: Failure, delay_s: float, now: float) -> Change[Job] | None:
    """Go back to the queue because the renderer went away; fail when it has done so ten times under this job.

    None when the lease is gone.
    """
    if not _leased(job, token):
        return None
    counted = replace(job, interruptions=job.interruptions + 1)
    if counted.interruptions >= MAX_INTERRUPTIONS:
        return failed(counted, failure, now)
    return handed_back(counted, token, delay_s, now)


def lease_renewed(job: Job, token: str, until: float) -> Change[Job] | None:
    """Keep the lease; None when it is no longer the worker's."""
    return Change(replace(job, lease_until=until)) if _leased(job, token) else None


def failed(job: Job, failure: Failure, now: float) -> Change[Job] | None:
    """End without a picture; None when the job has ended."""
    if job.finished:
        return None
    ended = replace(job, state=FAILED, failure=failure, waiting_for=None, lease_token="", update_time=now)
    return Change(ended, [KeyframeFailed(job.id, job.film, job.shot, failure)])


def cancelled(job: Job, now: float) -> Change[Job] | None:
    """End because nobody wants the picture; None when cancelled already. Raises ``JobFinished``."""
    if job.state == CANCELLED:
        return None
    if job.finished:
        raise JobFinished(job_id=job.id, state=job.state)
    ended = replace(job, state=CANCELLED, waiting_for=None, lease_token="", update_time=now)
    return Change(ended, [KeyframeCancelled(job.id, job.film, job.shot)])


def _leased(job: Job, token: str) -> bool:
    return job.state == RENDERING and job.lease_token == token


def _timings(job: Job, drawn: StageTimings) -> StageTimings:
    return replace(
        drawn,
        cast_s=job.requested_time - job.create_time,
        prompt_s=job.ready_time - job.requested_time,
        queue_s=max(0.0, job.started_time - job.ready_time),
    )
