"""Shots on their way to keyframes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable

from continuity.api.rendering.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_SUCCEEDED,
    Job,
    JobState,
    Keyframe,
)
from continuity.api.rendering.v1.render_service_pb2 import (
    CancelJobRequest,
    CheckOptionsRequest,
    DownloadKeyframeRequest,
    GetJobRequest,
    GetJobResponse,
    ListJobsRequest,
    RefusedOption,
    SubmitShotsRequest,
    SubmitShotsResponse,
    UploadSourceRequest,
    VerifyKeyframeRequest,
    VerifyKeyframeResponse,
    WatchJobsRequest,
    WatchJobsResponse,
)
from continuity.api.rendering.v1.render_service_pb2_grpc import RenderServiceStub
from continuity.client.errors import KeyframeDamaged
from continuity.client.transport import Transport
from continuity.kernel.ids import new_id

FINISHED = frozenset({JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED})


class Shots:
    """The render jobs of a project. Every method raises ``CallFailed``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = RenderServiceStub(transport.channel)

    async def submit(self, submission: SubmitShotsRequest) -> SubmitShotsResponse:
        """Hand in shots; return one job each, in their order.

        The same ``request_id`` with the same content returns the same jobs. Without one, the call makes up its own, so
        that its repetitions are one submission.
        """
        request = SubmitShotsRequest()
        request.CopyFrom(submission)
        request.request_id = submission.request_id or new_id()
        return await self._transport.unary(self._stub.SubmitShots, request, repeatable=True)

    async def check_options(self, request: CheckOptionsRequest) -> tuple[RefusedOption, ...]:
        """Return every option that shots could not be drawn with; none are handed in."""
        return tuple((await self._transport.unary(self._stub.CheckOptions, request, repeatable=True)).refused)

    async def upload_source(self, picture: bytes) -> str:
        """Store a picture that shots can begin with, or its mask; return the SHA-256 by which options name it."""
        request = UploadSourceRequest(picture=picture)
        return (await self._transport.unary(self._stub.UploadSource, request, repeatable=True)).sha256

    async def find(self, job_id: str) -> GetJobResponse:
        """Return a job, and the address of its keyframe."""
        return await self._transport.unary(self._stub.GetJob, GetJobRequest(job_id=job_id), repeatable=True)

    async def get(self, job_id: str) -> Job:
        """Return a job."""
        return (await self.find(job_id)).job

    async def list(
        self,
        *,
        state: JobState.ValueType = JobState.JOB_STATE_UNSPECIFIED,
        submission_id: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[Job]:
        """Yield jobs, newest first; of one state or submission where those are given."""
        request = ListJobsRequest(page_size=page_size, state=state, submission_id=submission_id)
        while True:
            page = await self._transport.unary(self._stub.ListJobs, request, repeatable=True)
            for job in page.jobs:
                yield job
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(
        self, job_ids: Iterable[str] = (), *, submission_id: str = "", include_previews: bool = False
    ) -> AsyncIterator[WatchJobsResponse]:
        """Yield each job as it is, then every change and step, until all are finished.

        After an interruption every job comes again as it is. Give either jobs or a submission.
        """
        request = WatchJobsRequest(job_ids=job_ids, submission_id=submission_id, include_previews=include_previews)
        async for response in self._transport.follow(self._stub.WatchJobs, request):
            yield response

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job that is not finished."""
        request = CancelJobRequest(job_id=job_id)
        return (await self._transport.unary(self._stub.CancelJob, request, repeatable=True)).job

    async def verify(self, job_id: str, *, take: int = 0) -> AsyncIterator[VerifyKeyframeResponse]:
        """Have a job's keyframe, or another take, drawn anew and compared; yield the steps and, last, the verdict."""
        request = VerifyKeyframeRequest(job_id=job_id, take=take)
        async for response in self._transport.follow(self._stub.VerifyKeyframe, request):
            yield response

    async def download(self, job: Job, *, take: int = 0) -> bytes:
        """Return the PNG of a job that SUCCEEDED, checked against its SHA-256. Raises ``KeyframeDamaged`` besides."""
        request = DownloadKeyframeRequest(job_id=job.id, take=take)
        chunks = await self._transport.collect(self._stub.DownloadKeyframe, request)
        png = b"".join(response.chunk for response in chunks)
        actual, expected = hashlib.sha256(png).hexdigest(), takes(job)[take].object.sha256
        if actual != expected:
            raise KeyframeDamaged(job_id=job.id, expected_sha256=expected, actual_sha256=actual)
        return png


def takes(job: Job) -> tuple[Keyframe, ...]:
    """Return every picture of a job, the keyframe first; none until it SUCCEEDED."""
    return tuple(job.takes) or ((job.keyframe,) if job.HasField("keyframe") else ())
