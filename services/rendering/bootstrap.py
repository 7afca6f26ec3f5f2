"""Wires the rendering service."""

from __future__ import annotations

from functools import partial

import previz
from continuity.api.rendering.v1.render_service_pb2_grpc import add_RenderServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.inference.client import TritonClient
from continuity.kernel.clock import SystemClock
from continuity.messaging.consumer import Consumer
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from services.rendering.adapters.keyframe_files import StoredKeyframeFiles
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.progress_topic import ProgressTopic
from services.rendering.adapters.stored_cast import CAST, StoredCast
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.adapters.stored_submissions import SUBMISSIONS, StoredSubmissions
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import CANCELLED, Job
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import CODEC, PROGRESS_TOPIC
from services.rendering.entrypoints.servicer import RPC_NAMES, RenderServicer
from services.rendering.entrypoints.subscribers import subscriptions
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.find_jobs import FindJobs
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.reconcile import Reconcile
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.take_prompts import TakePrompts
from services.rendering.handlers.watch_jobs import WatchJobs
from services.rendering.handlers.work import WorkSignal
from services.rendering.settings import Settings

COLLECTIONS = (SUBMISSIONS, JOBS, CAST)


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    clock = SystemClock()
    bus = platform.bus("rendering")
    documents = platform.documents
    relay = Relay(documents, COLLECTIONS, bus, platform.backlog, clock)
    jobs = StoredJobs(Aggregates(Job, JOBS, documents, CODEC, relay))
    submissions = StoredSubmissions(Aggregates(Submission, SUBMISSIONS, documents, CODEC, relay))
    cast = StoredCast(Aggregates(CastEntry, CAST, documents, CODEC, relay))
    files = StoredKeyframeFiles(platform.objects, platform.cpu)
    triton = TritonClient(settings.triton_address)
    renderer = PrevizRenderer(triton, platform.objects, previz.VERSION)
    signal = WorkSignal()

    def heard(word: RenderProgressed) -> None:
        if word.state == CANCELLED:
            worker.interrupt(word.job_id)

    progress = ProgressTopic(bus, platform.topics[PROGRESS_TOPIC], CODEC, heard)
    worker = RenderJobs(jobs, renderer, files, progress, clock, signal)
    freeze = FreezeCast(cast, jobs, clock)
    submit = SubmitShots(submissions, jobs, freeze, clock)
    reconcile = Reconcile(submissions, jobs, submit, freeze, progress, clock, settings.cast_deadline_s)
    take = TakePrompts(jobs, progress, clock, signal)
    for subscription in subscriptions(freeze, take, platform.topics):
        Consumer(bus, subscription, platform.checkpoints)

    async def idle() -> bool:
        return await jobs.unfinished() == 0

    servicer = RenderServicer(
        jobs=jobs,
        files=files,
        submit=submit,
        find=FindJobs(jobs, files),
        watch=WatchJobs(jobs, progress, clock),
        cancel=CancelJob(jobs, progress, clock),
    )
    slots = {f"worker-{number}": worker.run for number in range(settings.render_slots)}
    return Hosted(
        name="rendering",
        rpc_names=RPC_NAMES,
        register=partial(add_RenderServiceServicer_to_server, servicer),
        bus=bus,
        store=documents.check,
        background={"relay": relay.run, "reconcile": reconcile.run, **slots},
        dependencies={"continuity.renderer": renderer.check},
        idle=idle,
        close=triton.close,
    )
