"""Shots handed in: of a list that was rendered before, only those that were lost are rendered anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.cli.film.checking import not_acceptable
from continuity.client import CallFailed, ContinuityClient
from continuity.client.shotlist import ShotListInvalid, told_in_list
from continuity.client.shots import FINISHED

MAX_NAMED = 10


@dataclass(frozen=True)
class HandedIn:
    """One job for each shot, in the order of the film; shots rendered anew are in submissions of their own."""

    submission_id: str
    jobs: tuple[Job, ...]

    @property
    def unfinished_submissions(self) -> tuple[str, ...]:
        """The submissions in which jobs were still to do; the film's where none were."""
        unfinished = (job.submission_id for job in self.jobs if job.state not in FINISHED)
        return tuple(dict.fromkeys(unfinished)) or (self.submission_id,)


async def hand_in(
    client: ContinuityClient,
    first: SubmitShotsRequest,
    asked: SubmitShotsRequest,
    shot_list: Path,
    note: Callable[[str], None],
) -> HandedIn:
    """Submit the shots; those whose jobs have failed or were cancelled before, once more.

    ``first`` is the submission of the list that may be there already, ``asked`` what the command asks for now: the
    same shots. Raises ``ShotListInvalid`` for what the service refuses and the list asks for, else ``CallFailed``.
    """
    try:
        submitted = await client.shots.submit(first)
    except CallFailed as failed:
        raise _in_list(shot_list, failed) or failed from None
    jobs = list(submitted.jobs)
    renewed: set[int] = set()
    while lost := [place for place, job in enumerate(jobs) if _is_lost(job)]:
        answer = await client.shots.submit(_only(asked, jobs, lost))
        for place, job in zip(lost, answer.jobs, strict=True):
            jobs[place] = job
        renewed.update(lost)
    if before := [job for job in submitted.jobs if job.state == JOB_STATE_SUCCEEDED]:
        note(f"{len(before)} of {len(jobs)} as rendered before, with {_drawn_by(before)}; --again renders them anew")
    if anew := [jobs[place] for place in sorted(renewed) if jobs[place].state not in FINISHED]:
        note(f"this list was rendered before; only what failed or was cancelled is rendered anew: {_named(anew)}")
    return HandedIn(submitted.submission_id, tuple(jobs))


def _in_list(shot_list: Path, failed: CallFailed) -> ShotListInvalid | None:
    told = failed.metadata
    if failed.status is not grpc.StatusCode.INVALID_ARGUMENT or not {"field", "value", "limit"} <= set(told):
        return None
    return told_in_list(shot_list, told["field"], not_acceptable(told["value"], told["limit"]))


def _is_lost(job: Job) -> bool:
    return job.state in FINISHED and job.state != JOB_STATE_SUCCEEDED


def _only(request: SubmitShotsRequest, jobs: list[Job], lost: list[int]) -> SubmitShotsRequest:
    """Return the request for the lost shots alone; its id follows from them, so that it can be repeated, too."""
    only = SubmitShotsRequest()
    only.CopyFrom(request)
    del only.shots[:]
    only.shots.extend(request.shots[place] for place in lost)
    named = [f"{place} {jobs[place].id}" for place in lost]
    only.request_id = hashlib.sha256("\0".join([request.request_id, *named]).encode()).hexdigest()
    return only


def _drawn_by(jobs: list[Job]) -> str:
    return ", ".join(dict.fromkeys(job.keyframe.renderer for job in jobs))


def _named(jobs: list[Job]) -> str:
    names = [f"{job.shot.scene_id}-{job.shot.shot_number}" for job in jobs]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
