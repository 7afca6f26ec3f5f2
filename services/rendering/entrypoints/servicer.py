"""gRPC calls ⇄ use cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.api.rendering.v1 import render_service_pb2_grpc as pb_grpc
from continuity.rpc.calls import current_project
from continuity.rpc.errors import Context
from continuity.wire.conversion import word
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.entrypoints.mapping import (
    job_message,
    options_asked,
    progress_message,
    refusals_response,
    shots_asked,
    source_response,
    verification_response,
)
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.check_options import CheckOptions
from services.rendering.handlers.find_jobs import FindJobs
from services.rendering.handlers.ports import Sources
from services.rendering.handlers.stores import Jobs
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.verify_keyframe import VerifyKeyframe
from services.rendering.handlers.watch_jobs import WatchJobs

DEFAULT_PAGE = 50
RPC_NAMES = (pb.DESCRIPTOR.services_by_name["RenderService"].full_name,)


@dataclass(frozen=True)
class RenderServicer(pb_grpc.RenderServiceServicer):
    """``continuity.api.rendering.v1.RenderService``."""

    jobs: Jobs
    submit: SubmitShots
    find: FindJobs
    watch: WatchJobs
    cancel: CancelJob
    verify: VerifyKeyframe
    sources: Sources
    check: CheckOptions

    async def SubmitShots(self, request: pb.SubmitShotsRequest, context: Context) -> pb.SubmitShotsResponse:
        """Accept shots."""
        submission, jobs = await self.submit(current_project(), shots_asked(request))
        return pb.SubmitShotsResponse(submission_id=submission.id, jobs=map(job_message, jobs))

    async def CheckOptions(self, request: pb.CheckOptionsRequest, context: Context) -> pb.CheckOptionsResponse:
        """Tell what shots cannot be drawn with."""
        return refusals_response(await self.check(options_asked(request)))

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        """Return one job."""
        job, position = await self.find(current_project(), request.job_id)
        return pb.GetJobResponse(job=job_message(job, position), image_url=self.find.image_url(job))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        """Return a page of jobs."""
        state = word(job_pb2.JobState.DESCRIPTOR, request.state)
        limit = request.page_size or DEFAULT_PAGE
        found, token = await self.jobs.page(current_project(), state, request.submission_id, limit, request.page_token)
        return pb.ListJobsResponse(jobs=map(job_message, found), next_page_token=token)

    async def WatchJobs(self, request: pb.WatchJobsRequest, context: Context) -> AsyncIterator[pb.WatchJobsResponse]:
        """Stream jobs until all are finished."""
        async for update in self.watch(current_project(), tuple(request.job_ids), request.submission_id):
            yield await self._response(update, request.include_previews)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        """Cancel one job."""
        return pb.CancelJobResponse(job=job_message(await self.cancel(current_project(), request.job_id)))

    async def DownloadKeyframe(
        self, request: pb.DownloadKeyframeRequest, context: Context
    ) -> AsyncIterator[pb.DownloadKeyframeResponse]:
        """Stream the bytes of a take."""
        async for chunk in self.find.keyframe(current_project(), request.job_id, request.take):
            yield pb.DownloadKeyframeResponse(chunk=chunk)

    async def VerifyKeyframe(
        self, request: pb.VerifyKeyframeRequest, context: Context
    ) -> AsyncIterator[pb.VerifyKeyframeResponse]:
        """Stream the steps of a keyframe that is drawn anew, and the verdict."""
        async with aclosing(self.verify(current_project(), request.job_id, request.take)) as updates:
            async for update in updates:
                yield verification_response(request.job_id, update)

    async def UploadSource(self, request: pb.UploadSourceRequest, context: Context) -> pb.UploadSourceResponse:
        """Take a picture that shots can begin with."""
        return source_response(await self.sources.take(current_project(), request.picture))

    async def _response(self, update: Job | RenderProgressed, include_previews: bool) -> pb.WatchJobsResponse:
        if isinstance(update, Job):
            return pb.WatchJobsResponse(job=job_message(update))
        wanted = include_previews and update.preview is not None
        jpeg = await self.find.preview(update.preview) if wanted and update.preview else b""
        return pb.WatchJobsResponse(progress=progress_message(update, jpeg))
