"""Wires the rendering service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import engine
import previz
from continuity.api.rendering.v1.render_service_pb2_grpc import add_RenderServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.inference.client import TritonClient
from continuity.kernel.clock import Clock, SystemClock
from continuity.messaging.consumer import Consumer
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.objects.collector import Collector, nobody_refers
from continuity.objects.references import DocumentReferences
from continuity.telemetry.names import TAKE_OVERS
from continuity.telemetry.providers import watch
from services.rendering.adapters.keyframe_files import KEYFRAMES, PREVIEWS, StoredKeyframeFiles, TakeReferences
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.progress_topic import ProgressTopic
from services.rendering.adapters.sdxl_models import FolderModels
from services.rendering.adapters.sdxl_options import SdxlChoice
from services.rendering.adapters.sdxl_renderer import SdxlRenderer
from services.rendering.adapters.sdxl_rules import EngineRules
from services.rendering.adapters.stored_cast import CAST, StoredCast
from services.rendering.adapters.stored_jobs import JOBS, KEYFRAME, StoredJobs
from services.rendering.adapters.stored_queues import DRAWN, QUEUES, Drawn, StoredQueues
from services.rendering.adapters.stored_sources import FOLDER as SOURCE_FOLDER
from services.rendering.adapters.stored_sources import SOURCES, KeptSource, StoredSources
from services.rendering.adapters.stored_submissions import SUBMISSIONS, StoredSubmissions
from services.rendering.adapters.telemetry import QueueGauges, TelemetryObserver
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.fair_queue import QueueTail
from services.rendering.domain.job import CANCELLED, Deadlines, Job
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import CODEC, PROGRESS_TOPIC
from services.rendering.entrypoints.servicer import RPC_NAMES, RenderServicer
from services.rendering.entrypoints.subscribers import subscriptions
from services.rendering.handlers.accept_options import AcceptOptions
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.cancel_job import CancelJob
from services.rendering.handlers.check_options import CheckOptions
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.find_jobs import FindJobs
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.lapsed_leases import LapsedLeases
from services.rendering.handlers.others_jobs import OthersJobs
from services.rendering.handlers.ports import Renderer
from services.rendering.handlers.reconcile import Reconcile
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.submit_shots import SubmitShots
from services.rendering.handlers.take_prompts import TakePrompts
from services.rendering.handlers.verify_keyframe import VerifyKeyframe
from services.rendering.handlers.watch_jobs import WatchJobs
from services.rendering.handlers.work import WorkSignal
from services.rendering.settings import Settings

AGGREGATES = (SUBMISSIONS, JOBS, CAST, QUEUES, DRAWN, SOURCES)
COLLECTIONS = (*AGGREGATES, held_collection("rendering"))
PREVIEW_AGE_S = 900.0
"""Nobody looks at a preview when its job has gone on."""


def check(settings: Settings) -> None:
    """Raise the ``InvalidValue`` that ``bootstrap`` would raise, before anything is opened."""
    EngineRules(SdxlChoice(settings)).check_settings()


async def bootstrap(
    settings: Settings,
    platform: Platform,
    renderer: Renderer | None = None,
    start_renderer: Callable[[], bool] = lambda: True,
) -> Hosted:
    """Return the service on the given platform; ``renderer`` None means that Triton draws. Raises ``InvalidValue``.

    ``start_renderer`` is called where a renderer is wanted that is down, and tells whether it can be started; who
    starts it by need has to look for unfinished jobs besides.
    """
    choose = SdxlChoice(settings)
    choose.tell()
    rules = EngineRules(choose)
    rules.check_settings()
    clock = SystemClock()
    bus = platform.bus("rendering")
    documents = platform.documents
    relay = Relay(documents, AGGREGATES, bus, platform.backlog, clock)
    job_documents = Aggregates(Job, JOBS, documents, CODEC, relay)
    jobs = StoredJobs(job_documents, settings.renderer)
    submissions = StoredSubmissions(Aggregates(Submission, SUBMISSIONS, documents, CODEC, relay))
    cast = StoredCast(Aggregates(CastEntry, CAST, documents, CODEC, relay))
    files = StoredKeyframeFiles(platform.objects, platform.cpu)
    triton = TritonClient(settings.triton_address)
    renderer = renderer or _renderer(settings, platform, triton, choose, clock)
    sources = StoredSources(platform.objects, platform.cpu, Aggregates(KeptSource, SOURCES, documents, CODEC, relay))
    signal = WorkSignal()
    tails = Aggregates(QueueTail, QUEUES, documents, CODEC, relay)
    queue = FairQueue(StoredQueues(tails, Aggregates(Drawn, DRAWN, documents, CODEC, relay)), jobs, submissions, clock)

    def heard(word: RenderProgressed) -> None:
        if word.state == CANCELLED:
            worker.interrupt(word.job_id)

    progress = ProgressTopic(bus, platform.topics[PROGRESS_TOPIC], CODEC, heard)
    observer = TelemetryObserver()
    lease_s, slots, urgent, draw_s = settings.lease_s, settings.slots, settings.urgent_slots, settings.render_timeout_s
    worker = RenderJobs(jobs, queue, renderer, files, progress, clock, signal, lease_s, slots, observer, urgent, draw_s)
    leases = LapsedLeases(jobs, progress, clock, signal, settings.lease_s)
    freeze = FreezeCast(cast, jobs, clock)
    admission = Admission(jobs, settings.max_unfinished_jobs)
    accept_options = AcceptOptions(rules, sources)
    submit = SubmitShots(submissions, jobs, freeze, queue, admission, clock, accept_options, renderer=settings.renderer)
    deadlines = Deadlines(settings.cast_deadline_s, settings.prompt_deadline_s)
    reconcile = Reconcile(submissions, jobs, submit, freeze, progress, clock, signal, deadlines, observer)
    watch(TAKE_OVERS, lambda: (leases.taken_back, {}))
    take = TakePrompts(jobs, progress, clock, signal)
    held = HeldEvents(documents, "rendering", clock)
    consumer = Consumer(bus, subscriptions(freeze, take, platform.topics), held, platform.checkpoints)

    async def idle() -> bool:
        return not await jobs.undrawn(1)

    if settings.sole_renderer:
        await leases.take_all_back()

    servicer = RenderServicer(
        jobs=jobs,
        submit=submit,
        find=FindJobs(jobs, files),
        watch=WatchJobs(jobs, submissions, progress),
        cancel=CancelJob(jobs, progress, clock),
        verify=VerifyKeyframe(jobs, files, renderer, start_renderer, draw_s),
        sources=sources,
        check=CheckOptions(rules, FolderModels(settings)),
    )
    grace_s = settings.collect_after_s
    pointed_at = TakeReferences(DocumentReferences(documents, (JOBS, KEYFRAME)))
    keyframes = Collector(platform.objects, KEYFRAMES, pointed_at, clock, grace_s=grace_s)
    named = DocumentReferences(documents, (SOURCES, "key"))
    uploads = Collector(platform.objects, SOURCE_FOLDER, named, clock, grace_s=grace_s)
    preview_age_s = min(grace_s, PREVIEW_AGE_S)
    previews = Collector(platform.objects, PREVIEWS, nobody_refers, clock, grace_s=preview_age_s)
    return Hosted(
        name="rendering",
        rpc_names=RPC_NAMES,
        register=partial(add_RenderServiceServicer_to_server, servicer),
        bus=bus,
        store=documents.check,
        relay=relay.run,
        dead_letters=held,
        background={
            "held": consumer.retries.run,
            "reconcile": reconcile.run,
            "leases": leases.run,
            "others": OthersJobs(jobs, settings.renderer).run,
            "queue": queue.run,
            "gauges": QueueGauges(job_documents, clock).run,
            "keyframes": keyframes.run,
            "previews": previews.run,
            "sources": uploads.run,
            "worker": worker.run,
        },
        dependencies={"continuity.renderer": renderer.check},
        idle=idle,
        close=triton.close,
    )


def _renderer(
    settings: Settings, platform: Platform, triton: TritonClient, choose: SdxlChoice, clock: Clock
) -> Renderer:
    composer = PrevizRenderer(triton, platform.objects, previz.VERSION)
    if not settings.diffuses:
        return composer
    return SdxlRenderer(
        triton,
        composer,
        choose,
        objects=platform.objects,
        pool=platform.cpu,
        clock=clock,
        version=engine.VERSION,
    )
