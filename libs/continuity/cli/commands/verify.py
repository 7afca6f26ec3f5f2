"""``continuity verify``."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import typer

from continuity.api.common.v1.shot_pb2 import ShotType
from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.api.rendering.v1.verification_pb2 import VERDICT_SAME, Verdict, Verification
from continuity.cli.commands.jobs import MAX_PAGE_SIZE, JobIds, Submission, SubmissionMissing
from continuity.cli.documents import document
from continuity.cli.exits import ExitCode
from continuity.cli.output import Output, table
from continuity.cli.session import AsJson, Session, execute
from continuity.client import ContinuityClient
from continuity.client.shots import takes
from continuity.kernel.errors import Absent
from continuity.wire.conversion import word

HEADINGS = ("scene", "shot", "type", "verdict", "differences", "job")


@dataclass(eq=False)
class FilmMissing(Absent):
    """No job of the project belongs to the film."""

    template = "there is no film {film!r}"
    film: str


def verify(
    jobs: JobIds = None,
    film: Annotated[
        str, typer.Option("--film", metavar="TITLE", help="All keyframes of this film.", show_default=False)
    ] = "",
    submission: Submission = "",
    as_json: AsJson = False,
) -> None:
    """Draw keyframes anew and compare the files; exit code 1 unless all are the same, byte for byte."""
    if [bool(jobs), bool(film), bool(submission)].count(True) != 1:
        raise typer.BadParameter("give either jobs, --film or --submission")

    async def work(session: Session) -> ExitCode:
        async with session.connected(draws=True) as client:
            if jobs:
                wanted = [await client.shots.get(job) for job in jobs]
            else:
                wanted = [job async for job in _drawn(client, film, submission)]
            drawn = [(job, take) for job in wanted for take in range(max(len(takes(job)), 1))]
            verified = [await _verified(client, job, take, session.output) for job, take in drawn]
        rows = [_row(job, take, each) for (job, take), each in zip(drawn, verified, strict=True)]
        shown = table(HEADINGS, rows) if rows else "no keyframes"
        told = [document(each) | {"take": take + 1} for (_, take), each in zip(drawn, verified, strict=True)]
        session.output.show({"verifications": told}, shown)
        return ExitCode.OK if all(each.verdict == VERDICT_SAME for each in verified) else ExitCode.FAILED

    execute(work, as_json=as_json)


async def _drawn(client: ContinuityClient, film: str, submission: str) -> AsyncIterator[Job]:
    """Yield the jobs that have a keyframe, newest first."""
    found = False
    async for job in client.shots.list(submission_id=submission, page_size=MAX_PAGE_SIZE):
        if film in ("", job.film):
            found = True
            if job.state == JOB_STATE_SUCCEEDED:
                yield job
    if not found:
        raise SubmissionMissing(submission) if submission else FilmMissing(film)


async def _verified(client: ContinuityClient, job: Job, take: int, output: Output) -> Verification:
    verdict = Verification(job_id=job.id)
    async for response in client.shots.verify(job.id, take=take):
        if response.HasField("verification"):
            verdict = response.verification
    output.note(f"{job.shot.scene_id}-{_name(job, take)} {word(Verdict.DESCRIPTOR, verdict.verdict)}")
    return verdict


def _row(job: Job, take: int, verification: Verification) -> tuple[str, ...]:
    shot = (job.shot.scene_id, _name(job, take), word(ShotType.DESCRIPTOR, job.shot.shot_type))
    differences = "; ".join(verification.differences)
    return (*shot, word(Verdict.DESCRIPTOR, verification.verdict), differences, job.id)


def _name(job: Job, take: int) -> str:
    return f"{job.shot.shot_number}" + (f"-take{take + 1}" if take else "")
