"""A render job: one shot on its way to a keyframe. Every transition is a function that returns a Change, or None.

Those of the worker that holds a lease are in ``lease``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.errors import ContinuityError
from continuity.kernel.looks import Patience
from continuity.kernel.values import Change, Failure
from services.rendering.domain.cast import CastMember, FrozenCast
from services.rendering.domain.errors import CastIncomplete, JobExpired, JobFinished, PromptMissing
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, RenderRequested
from services.rendering.domain.fair_queue import key_in_line, queue_key
from services.rendering.domain.keyframe import Keyframe, Prompt
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
SEEDS = 2**32
UNFINISHED = (WAITING, REQUESTED, READY, RENDERING)
LOOKED_AT = (WAITING, REQUESTED, READY)
"""What the reconciler looks at; a job that is drawn is its worker's."""

CAST_LOOK_S, LONGEST_CAST_LOOK_S = 2.0, 60.0
PROMPT_LOOK_S, LONGEST_LOOK_S = 60.0, 600.0
"""The longest that a job out of line waits; what is to wait twice as long was written by a wrong clock."""
LINE_LOOK_S = 3_600.0
"""One that may expire in line is looked at this often: were it only then, those with a long time to live would hide
what a wrong clock has put far ahead."""


@dataclass(frozen=True)
class Deadlines:
    """How long a job waits for its cast, and for its prompt, while somebody looks after it."""

    cast_s: float
    prompt_s: float

    @property
    def cast(self) -> Patience:
        """How its cast is waited for."""
        return Patience(CAST_LOOK_S, LONGEST_CAST_LOOK_S, self.cast_s)

    @property
    def prompt(self) -> Patience:
        """How its prompt is waited for."""
        return Patience(PROMPT_LOOK_S, LONGEST_LOOK_S, self.prompt_s)


@dataclass(frozen=True)
class Job:
    """``lease_token`` fences the worker that renders; ``waiting_for`` is the id that the cast lacks.

    ``crashes`` counts how often the renderer died while it drew this very job. ``more_takes`` come after the keyframe.
    ``queue_key`` is the job's place among all others, ``line_key`` the same while a worker may take it. The reconciler
    looks at an unfinished job at ``look_time``, and has looked ``looks`` times since it is in its state.
    ``renderer`` alone may draw it; any may where it is None, as in jobs of older versions.
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
    line_key: int | None = None
    look_time: float | None = None
    looks: int = 0
    expire_time: float | None = None
    waiting_for: str | None = None
    cast: tuple[CastMember, ...] = ()
    characters: tuple[str, ...] = ()
    location: str | None = None
    prompt: Prompt | None = None
    keyframe: Keyframe | None = None
    more_takes: tuple[Keyframe, ...] = ()
    failure: Failure | None = None
    last_failure: Failure | None = None
    attempts: int = 0
    interruptions: int = 0
    crashes: int = 0
    lease_token: str = ""
    lease_until: float = 0.0
    requested_time: float = 0.0
    ready_time: float = 0.0
    started_time: float = 0.0
    commercial: bool = False
    renderer: str | None = None

    @property
    def takes(self) -> tuple[Keyframe, ...]:
        """Every picture of the shot, the keyframe first; none before there is one."""
        return (self.keyframe, *self.more_takes) if self.keyframe else ()

    def seed_of(self, take: int) -> int:
        """Return the seed of a take: they count up from the prompt's."""
        return ((self.prompt.seed if self.prompt else 0) + take) % SEEDS

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in FINISHED

    def is_due(self, now: float) -> bool:
        """Whether it is time to look at the job."""
        if self.state not in LOOKED_AT:
            return False
        if self.look_time is None:
            return self.line_key is None  # a version that knew neither has left it
        longest_s = LONGEST_LOOK_S if self.line_key is None else LINE_LOOK_S
        return self.look_time <= now or self.look_time > now + 2 * longest_s

    def look_at(self, time: float) -> float:
        """Return when to look at the job that need not be looked at before ``time``: no later than when it expires."""
        return time if self.expire_time is None else min(time, self.expire_time)


def submitted(submission: Submission, position: int, now: float) -> Job:
    """Return the job of the submission's shot at ``position``, waiting for its cast."""
    shot = submission.optioned(submission.shots[position])
    job = Job(
        id=submission.job_id(shot),
        submission_id=submission.id,
        film=submission.film,
        film_seed=submission.seed,
        shot=shot,
        state=WAITING,
        priority=submission.priority,
        queue_key=queue_key(submission.priority, submission.first_tag + position),
        width_px=submission.width_px,
        height_px=submission.height_px,
        create_time=submission.create_time,
        update_time=now,
        expire_time=submission.expire_time,
        commercial=submission.commercial,
        renderer=submission.renderer,
    )
    return replace(job, look_time=job.look_at(now + CAST_LOOK_S))


def handed_over(job: Job, renderer: str | None, now: float) -> Change[Job] | None:
    """Let another renderer draw it; None when it may already, or when one has begun."""
    if job.finished or job.state == RENDERING or job.renderer in (None, renderer):
        return None
    return Change(replace(job, renderer=renderer, update_time=now))


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
        looks=0,
        look_time=job.look_at(now + PROMPT_LOOK_S),
    )
    return Change(frozen, [requested(frozen)])


def requested(job: Job) -> RenderRequested:
    """Return the event that asks for the job's prompt."""
    return RenderRequested(
        job.id, job.film, job.shot, job.characters, job.location, job.film_seed, expire_time=job.expire_time
    )


def cast_lacks(job: Job, missing: str, now: float) -> Change[Job] | None:
    """Wait for the one that is missing; None when the job does already."""
    if job.state != WAITING or job.waiting_for == missing:
        return None
    return Change(replace(job, waiting_for=missing, update_time=now))


def prompted(job: Job, prompt: Prompt, now: float) -> Change[Job] | None:
    """Take the prompt and stand in line; None when the job does not wait for one."""
    if job.state != REQUESTED:
        return None
    ready = replace(job, state=READY, prompt=prompt, ready_time=now, update_time=now)
    return Change(in_line(ready, now))


def in_line(job: Job, now: float) -> Job:
    """Return the job at its place in the line; it need not be looked at there unless it may expire."""
    key = key_in_line(job.priority, job.queue_key)
    look_time = None if job.expire_time is None else job.look_at(now + LINE_LOOK_S)
    return replace(job, queue_key=key, line_key=key, look_time=look_time)


def prompt_failed(job: Job, failure: Failure, now: float) -> Change[Job] | None:
    """End because there is no prompt; None when the job does not wait for one."""
    return failed(job, failure, now) if job.state == REQUESTED else None


def looked_at(job: Job, now: float, deadlines: Deadlines, *, unpublished: bool = False) -> Change[Job] | None:
    """Do what is due of a job that nobody else moves; None when nothing is.

    One that waits for its cast is looked at again, less and less often, and ends at the deadline; so does one without
    its prompt, which asks for it again, for the prompts service may only be behind; while what it has asked is still
    ``unpublished`` it neither asks again nor comes nearer to the deadline. One that waits for its next attempt stands
    in line again, and so does one that an older version left without a place.
    """
    if not job.is_due(now):
        return None
    if late := expired(job, now):
        return late
    if job.state == READY:
        return Change(in_line(job, now))
    if job.state == REQUESTED and unpublished:
        return Change(replace(job, look_time=job.look_at(now + PROMPT_LOOK_S)))
    pause_s = (deadlines.cast if job.state == WAITING else deadlines.prompt).pause_s(job.looks + 1)
    if not pause_s:
        return failed(job, Failure.of(_missing(job, deadlines)), now)
    waiting = replace(job, looks=job.looks + 1, look_time=job.look_at(now + pause_s))
    return Change(waiting, [requested(job)] if job.state == REQUESTED else [])


def _missing(job: Job, deadlines: Deadlines) -> ContinuityError:
    if job.state == REQUESTED:
        return PromptMissing(limit_s=deadlines.prompt_s)
    return CastIncomplete(missing=job.waiting_for or "", limit_s=deadlines.cast_s)


def expired(job: Job, now: float) -> Change[Job] | None:
    """End because the time to live is over; None when it is not, or the job has ended."""
    if job.expire_time is None or now < job.expire_time:
        return None
    return failed(job, Failure.of(JobExpired(time_to_live_s=job.expire_time - job.create_time)), now)


def failed(job: Job, failure: Failure, now: float) -> Change[Job] | None:
    """End without a picture; None when the job has ended."""
    if job.finished:
        return None
    return Change(ended(job, FAILED, now, failure=failure), [KeyframeFailed(job.id, job.film, job.shot, failure)])


def cancelled(job: Job, now: float) -> Change[Job] | None:
    """End because nobody wants the picture; None when cancelled already. Raises ``JobFinished``."""
    if job.state == CANCELLED:
        return None
    if job.finished:
        raise JobFinished(job_id=job.id, state=job.state)
    return Change(ended(job, CANCELLED, now), [KeyframeCancelled(job.id, job.film, job.shot)])


def ended(job: Job, state: str, now: float, *, failure: Failure | None = None) -> Job:
    """Return the job in its last state, with nothing left that anybody looks for."""
    return replace(
        job,
        state=state,
        failure=failure,
        waiting_for=None,
        line_key=None,
        look_time=None,
        lease_token="",
        update_time=now,
    )
