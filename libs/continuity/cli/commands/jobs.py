"""``continuity jobs``."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import grpc
import typer

from continuity.api.common.v1.object_pb2 import Failure
from continuity.api.common.v1.shot_pb2 import ShotType
from continuity.api.rendering.v1.job_pb2 import JOB_STATE_CANCELLED, JOB_STATE_FAILED, Job, JobState
from continuity.cli.choices import choice, value
from continuity.cli.documents import document
from continuity.cli.exits import ExitCode
from continuity.cli.film.board import Board
from continuity.cli.film.drawn import described, drawn_with
from continuity.cli.film.progress import progress
from continuity.cli.output import facts, table
from continuity.cli.session import AsJson, Session, execute
from continuity.client import CallFailed, ContinuityClient
from continuity.client.shots import FINISHED
from continuity.kernel.errors import Absent
from continuity.wire.conversion import word

app = typer.Typer(name="jobs", help="Shots on their way to keyframes.", no_args_is_help=True)

MAX_PAGE_SIZE = 500
MOST_AHEAD = 1_000
"""Up to here, services count who stands ahead of a job."""

JobIds = Annotated[list[str] | None, typer.Argument(metavar="[JOB]…", help="Ids of jobs.", show_default=False)]
Submission = Annotated[str, typer.Option("--submission", help="All jobs of this submission.", show_default=False)]


@dataclass(eq=False)
class SubmissionMissing(Absent):
    """No job belongs to the submission."""

    template = "there is no submission {submission_id!r}"
    submission_id: str


@app.command("list")
def list_jobs(
    state: Annotated[str, choice(JobState.DESCRIPTOR, help="Only jobs in this state.")] = "",
    submission: Submission = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List render jobs, newest first."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            found = client.shots.list(
                state=value(JobState, state), submission_id=submission, page_size=min(limit, MAX_PAGE_SIZE)
            )
            jobs = await _first(found, limit)
            if submission and not jobs:
                await _require_submission(client, submission)
        shown = table(("scene", "shot", "type", "state", "film", "job"), map(_row, jobs)) if jobs else "no jobs"
        session.output.show({"jobs": [document(job) for job in jobs]}, shown)

    execute(work, as_json=as_json)


@app.command()
def show(job: Annotated[str, typer.Argument(help="Id of the job.")], as_json: AsJson = False) -> None:
    """Show a job with its prompt, keyframe or failure."""

    async def work(session: Session) -> None:
        async with session.connected() as client:
            found = await client.shots.find(job)
            drawn = await drawn_with(client, found.job)
        shown = document(found.job) | {"image_url": found.image_url or None, "drawn": drawn}
        session.output.show(shown, facts(_described(found.job) | described(drawn) | {"image": found.image_url}))

    execute(work, as_json=as_json)


@app.command()
def watch(jobs: JobIds = None, submission: Submission = "", as_json: AsJson = False) -> None:
    """Watch jobs until all are finished; exit code 1 when one has failed."""
    _require_one_of(jobs, submission)

    async def work(session: Session) -> ExitCode:
        async with session.connected(draws=True) as client:
            board = Board(len(jobs or ()) or await _count(client, submission))
            with progress(session.output, board) as seen:
                async for update in client.shots.watch(jobs or (), submission_id=submission):
                    seen.advance(board.apply(update))
        watched = board.jobs()
        session.output.show({"jobs": [document(job) for job in watched]}, board.summary())
        return ExitCode.FAILED if any(job.state == JOB_STATE_FAILED for job in watched) else ExitCode.OK

    execute(work, as_json=as_json)


@app.command()
def cancel(jobs: JobIds = None, submission: Submission = "", as_json: AsJson = False) -> None:
    """Cancel jobs that are not finished; of a submission, those that still can be."""
    _require_one_of(jobs, submission)

    async def work(session: Session) -> None:
        async with session.connected() as client:
            before = [await _is_cancelled(client, job) for job in jobs or ()]
            cancelled = [await client.shots.cancel(job) for job in jobs or ()]
            if submission:
                await _require_submission(client, submission)
                cancelled += await _cancel_submission(client, submission)
        was = f", {sum(before)} had been before" if any(before) else ""
        session.output.show(
            {"jobs": [document(job) for job in cancelled]}, f"cancelled {len(cancelled) - sum(before)}{was}"
        )

    execute(work, as_json=as_json)


async def _is_cancelled(client: ContinuityClient, job: str) -> bool:
    return (await client.shots.get(job)).state == JOB_STATE_CANCELLED


async def _cancel_submission(client: ContinuityClient, submission: str) -> list[Job]:
    """Cancel what is not finished; a job that finishes in the meantime is no error."""
    cancelled = []
    async for job in client.shots.list(submission_id=submission, page_size=MAX_PAGE_SIZE):
        if job.state not in FINISHED:
            try:
                cancelled.append(await client.shots.cancel(job.id))
            except CallFailed as failed:
                if failed.status is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
    return cancelled


async def _count(client: ContinuityClient, submission: str) -> int:
    count = 0
    async for _ in client.shots.list(submission_id=submission, page_size=MAX_PAGE_SIZE):
        count += 1
    if not count:
        raise SubmissionMissing(submission)
    return count


async def _require_submission(client: ContinuityClient, submission: str) -> None:
    if not await _first(client.shots.list(submission_id=submission, page_size=1), 1):
        raise SubmissionMissing(submission)


def _require_one_of(jobs: list[str] | None, submission: str) -> None:
    if bool(jobs) == bool(submission):
        raise typer.BadParameter("give either jobs or --submission")


async def _first(jobs: AsyncIterator[Job], limit: int) -> list[Job]:
    first: list[Job] = []
    async for job in jobs:
        first.append(job)
        if len(first) == limit:
            break
    return first


def _row(job: Job) -> tuple[str, ...]:
    shot_type = word(ShotType.DESCRIPTOR, job.shot.shot_type)
    return (job.shot.scene_id, str(job.shot.shot_number), shot_type, _state(job), job.film, job.id)


def _state(job: Job) -> str:
    state = word(JobState.DESCRIPTOR, job.state)
    if job.state not in FINISHED and job.renderer:
        state = f"{state} for {job.renderer}"
    if not job.HasField("queue_position"):
        return state
    more = " or more" if job.queue_position >= MOST_AHEAD else ""
    return f"{state} ({job.queue_position}{more} ahead)"


def _why(failure: Failure) -> str:
    return f"{failure.reason}: {failure.message}" if failure.reason else failure.message


def _described(job: Job) -> dict[str, str]:
    timings = document(job.keyframe.timings).items()
    return {
        "job": job.id,
        "submission": job.submission_id,
        "film": job.film,
        "shot": f"{job.shot.scene_id}-{job.shot.shot_number} {word(ShotType.DESCRIPTOR, job.shot.shot_type)}",
        "description": job.shot.description,
        "cast": ", ".join(member.name for member in job.cast),
        "state": _state(job),
        "failure": _why(job.failure),
        "last failure": _why(job.last_failure) if job.last_failure != job.failure else "",
        "attempts": str(job.attempts or ""),
        "expires": job.expire_time.ToJsonString() if job.HasField("expire_time") else "",
        "prompt": job.prompt.text,
        "negative": job.prompt.negative,
        "prompt asked": job.shot.options.prompt,
        "negative asked": job.shot.options.negative,
        "seed": str(job.prompt.seed) if job.HasField("prompt") else "",
        "keyframe": job.keyframe.object.key,
        "takes": str(len(job.takes)) if len(job.takes) > 1 else "",
        "renderer": job.keyframe.renderer,
        "timings": ", ".join(f"{stage.removesuffix('_s')} {seconds:.2f} s" for stage, seconds in timings)
        if job.HasField("keyframe")
        else "",
    }
