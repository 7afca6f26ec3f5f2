"""What can be wrong with submissions and jobs."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Absent, ContinuityError, Damaged, Exists, Full, Late, Unavailable, WrongState


@dataclass(eq=False)
class JobMissing(Absent):
    """No job of this project has the id."""

    template = "there is no job {job_id!r}"
    job_id: str


@dataclass(eq=False)
class SubmissionMissing(Absent):
    """No submission of this project has the id."""

    template = "there is no submission {submission_id!r}"
    submission_id: str


@dataclass(eq=False)
class JobFinished(WrongState):
    """The job can no longer be changed."""

    template = "job {job_id!r} is {state} already"
    job_id: str
    state: str


@dataclass(eq=False)
class KeyframeMissing(WrongState):
    """The job has no keyframe, or not yet."""

    template = "job {job_id!r} is {state} and has no keyframe"
    job_id: str
    state: str


@dataclass(eq=False)
class TakeMissing(Absent):
    """The job has fewer takes."""

    template = "job {job_id!r} has {takes} takes, from 0 on, and none is {take}"
    job_id: str
    takes: int
    take: int


@dataclass(eq=False)
class KeyframeUnreadable(Damaged):
    """The stored file is no keyframe of ours."""

    template = "the stored keyframe cannot be read: {cause}"
    cause: str


@dataclass(eq=False)
class RequestReused(Exists):
    """The request_id was used before with other content."""

    template = "request_id: {request_id!r} was used before with other content"
    request_id: str


@dataclass(eq=False)
class CastIncomplete(ContinuityError):
    """A character or location did not become ready in time."""

    template = "{missing!r} was not ready within {limit_s:.0f} s; is it a character or location of this project?"
    missing: str
    limit_s: float


@dataclass(eq=False)
class PromptMissing(ContinuityError):
    """Nobody answered with a prompt, or the reason why there is none, however often it was asked for."""

    template = "no prompt came within {limit_s:.0f} s"
    limit_s: float


@dataclass(eq=False)
class RendererDown(Unavailable):
    """The renderer does not answer; the job waits."""

    template = "the renderer does not answer: {cause}"
    cause: str


@dataclass(eq=False)
class PictureMissing(Unavailable):
    """The renderer ended without a picture and without saying why; another attempt may work."""

    template = "the renderer {renderer} ended without a picture"
    renderer: str


@dataclass(eq=False)
class RenderCrashed(ContinuityError):
    """The renderer died while it drew this very job, and says so now that the job has come again."""

    template = "the renderer died while it drew this job: {detail}"
    retryable = True
    detail: str


@dataclass(eq=False)
class WorkerLost(ContinuityError):
    """A worker took the job and was not heard of again."""

    template = "the worker that held the job was lost, in attempt {attempts}"
    attempts: int


@dataclass(eq=False)
class JobExpired(Late):
    """The job was not done within its time to live."""

    template = "it was not done within the {time_to_live_s:g} s that it had"
    time_to_live_s: float


@dataclass(eq=False)
class AttemptTooLong(Late):
    """The renderer took longer than an attempt may."""

    template = "the attempt was given up after {timeout_s:g} s"
    timeout_s: float


@dataclass(eq=False)
class TurnTooLate(Full):
    """The renderer had others to draw for so long that the job's turn never came; no fault of the job's."""

    template = "the renderer did not begin with it within {limit_s:g} s"
    limit_s: float


@dataclass(eq=False)
class QueueFull(Full):
    """More shots are unfinished than the service takes on; ``retry_after_s`` follows from how fast they finish."""

    template = "{unfinished} shots are unfinished and {limit} is the limit {whose}; come again in {retry_after_s:.0f} s"
    unfinished: int
    limit: int
    whose: str
    retry_after_s: float


@dataclass(eq=False)
class WatchesFull(Full):
    """More jobs are watched than the service has room for."""

    template = "{watches} watches of {jobs} jobs are open; the limits are {max_watches} and {max_jobs}"
    watches: int
    jobs: int
    max_watches: int
    max_jobs: int
    retry_after_s: float = 5.0


@dataclass(eq=False)
class VerificationsFull(Full):
    """As many keyframes wait to be drawn anew as the service lets wait."""

    template = "{waiting} keyframes wait to be verified and {limit} is the limit"
    waiting: int
    limit: int
    retry_after_s: float = 5.0
