"""Domain values and protobuf messages."""

from __future__ import annotations

from collections.abc import Iterable

from continuity.api.events.v1 import render_events_pb2 as events
from continuity.api.rendering.v1 import job_pb2, verification_pb2
from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.kernel.errors import InvalidValue
from continuity.messaging.codec import EventCodec, Publication
from continuity.wire.conversion import from_message, to_message
from services.rendering.domain.events import (
    KeyframeCancelled,
    KeyframeFailed,
    KeyframeRendered,
    RenderProgressed,
    RenderRequested,
)
from services.rendering.domain.job import Job
from services.rendering.domain.verification import Verification
from services.rendering.handlers.check_options import OptionsAsked
from services.rendering.handlers.ports import SourcePicture, Step
from services.rendering.handlers.submit_shots import ShotsAsked

TOPIC = "continuity.render.v1"
PROGRESS_TOPIC = "continuity.render-progress.v1"
MAX_SHOWN = 200
"""Characters of a value that is refused."""


def _job_id(event: RenderProgressed) -> str:
    return event.job_id


CODEC = EventCodec(
    "rendering",
    {
        RenderRequested: Publication(TOPIC, events.RenderRequested, _job_id),
        KeyframeRendered: Publication(TOPIC, events.KeyframeRendered, _job_id),
        KeyframeFailed: Publication(TOPIC, events.KeyframeFailed, _job_id),
        KeyframeCancelled: Publication(TOPIC, events.KeyframeCancelled, _job_id),
        RenderProgressed: Publication(PROGRESS_TOPIC, events.RenderProgressed, _job_id, traced=False),
    },
)


def shots_asked(request: pb.SubmitShotsRequest) -> ShotsAsked:
    """Return what a SubmitShots call asks for."""
    return from_message(request, ShotsAsked)


def options_asked(request: pb.CheckOptionsRequest) -> OptionsAsked:
    """Return what a CheckOptions call asks about."""
    return from_message(request, OptionsAsked)


def refusals_response(refused: Iterable[InvalidValue]) -> pb.CheckOptionsResponse:
    """Return the options that nothing can be drawn with."""
    told = [pb.RefusedOption(field=each.field, value=str(each.value)[:MAX_SHOWN], limit=each.limit) for each in refused]
    return pb.CheckOptionsResponse(refused=told)


def job_message(job: Job, queue_position: int | None = None) -> job_pb2.Job:
    """Return the job as its resource message."""
    message = to_message(job, job_pb2.Job)
    if queue_position is not None:
        message.queue_position = queue_position
    return message


def progress_message(progress: RenderProgressed, preview_jpeg: bytes) -> job_pb2.JobProgress:
    """Return a step as the client sees it."""
    message = to_message(progress, job_pb2.JobProgress)
    message.preview_jpeg = preview_jpeg
    return message


def verification_response(job_id: str, update: Step | Verification) -> pb.VerifyKeyframeResponse:
    """Return a step of a keyframe that is drawn anew, or the verdict."""
    if isinstance(update, Verification):
        return pb.VerifyKeyframeResponse(verification=to_message(update, verification_pb2.Verification))
    step = job_pb2.JobProgress(job_id=job_id, state=job_pb2.JOB_STATE_SUCCEEDED, step=update.step, steps=update.steps)
    return pb.VerifyKeyframeResponse(progress=step)


def source_response(picture: SourcePicture) -> pb.UploadSourceResponse:
    """Return what an uploaded picture is called."""
    return to_message(picture, pb.UploadSourceResponse)
