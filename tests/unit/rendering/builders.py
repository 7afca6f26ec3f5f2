"""Jobs in every state, made by the transitions themselves."""

from __future__ import annotations

from dataclasses import replace

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.locations.v1.location_pb2 import Location
from continuity.kernel.values import Change, Failure, ObjectRef
from continuity.wire.conversion import closed
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.job import (
    CANCELLED,
    FAILED,
    READY,
    RENDERING,
    REQUESTED,
    SUCCEEDED,
    WAITING,
    Job,
    cancelled,
    cast_found,
    failed,
    prompted,
    submitted,
)
from services.rendering.domain.keyframe import Keyframe, Prompt, StageTimings
from services.rendering.domain.lease import rendered
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission

PROJECT = "film"
TOKEN = "worker-1"
PROMPT = Prompt("a close-up of Ward", "blurry", 7)
FAILURE = Failure("BROKEN", "it broke", {"part": "lens"})
KEYFRAME = Keyframe(
    object=ObjectRef("film/keyframes/ab.png", "ab", 3, "image/png"),
    width_px=64,
    height_px=32,
    seed=7,
    renderer="fake 1",
    timings=StageTimings(render_s=2.0, store_s=0.5),
)
WARD = CastEntry("ward", "Ward", 3, closed(Character(id="ward", name="Ward", version=3)))
PAD = CastEntry("pad", "Pad Nine", 1, closed(Location(id="pad", name="Pad Nine", description="launch pad")))


def shot(number: int = 1, **changes: object) -> Shot:
    return replace(Shot("1", number, "close-up", "Ward looks up"), **changes)  # type: ignore[arg-type]


def submission(
    *shots: Shot,
    priority: int = 0,
    create_time: float = 100.0,
    id: str = "submission",
    time_to_live: float | None = None,
    first_tag: int = 0,
) -> Submission:
    return Submission(
        id=id,
        time_to_live=time_to_live,
        first_tag=first_tag,
        film="Pad Nine",
        shots=shots or (shot(),),
        seed=5,
        priority=priority,
        width_px=256,
        height_px=128,
        create_time=create_time,
    )


def after(change: Change[Job] | None) -> Job:
    assert change is not None
    return change.aggregate


def leased(job: Job, token: str = TOKEN, now: float = 106.0, until: float = 126.0) -> Job:
    """What the store's claim does to a job."""
    lease = {"lease_token": token, "lease_until": until, "started_time": now, "update_time": now}
    return replace(job, state=RENDERING, line_key=None, **lease)  # type: ignore[arg-type]


def job_in(state: str, wanted: Shot | None = None, **submission_changes: object) -> Job:
    job = submitted(submission(wanted or shot(), **submission_changes), 0, 101.0)  # type: ignore[arg-type]
    if state == WAITING:
        return job
    if state == CANCELLED:
        return after(cancelled(job, 102.0))
    if state == FAILED:
        return after(failed(job, FAILURE, 102.0))
    job = after(cast_found(job, FrozenCast((WARD,), PAD), 102.0))
    if state == REQUESTED:
        return job
    job = after(prompted(job, PROMPT, 104.0))
    if state == READY:
        return job
    job = leased(job)
    return job if state == RENDERING else after(rendered(job, TOKEN, [KEYFRAME], 109.0))


EVERY_STATE = (WAITING, REQUESTED, READY, RENDERING, SUCCEEDED, FAILED, CANCELLED)
