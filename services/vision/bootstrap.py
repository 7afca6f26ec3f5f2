"""Wires the vision service."""

from __future__ import annotations

from functools import partial

from continuity.api.vision.v1.vision_service_pb2_grpc import add_VisionServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.messaging.consumer import HEAVY_BATCH_LIMIT, Consumer
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from services.vision.adapters.portrait_analyzer import PortraitAnalyzer
from services.vision.adapters.stored_analyses import ANALYSES, StoredAnalyses
from services.vision.adapters.stored_pictures import StoredPictures
from services.vision.domain.analysis import AnalysisRecord
from services.vision.entrypoints.mapping import CODEC
from services.vision.entrypoints.servicer import RPC_NAMES, VisionServicer
from services.vision.entrypoints.subscribers import subscription
from services.vision.handlers.analyze_character import AnalyzeCharacter
from services.vision.settings import Settings

AGGREGATES = (ANALYSES,)
COLLECTIONS = (*AGGREGATES, held_collection("vision"))


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    bus = platform.bus("vision", at_leisure=True)
    relay = Relay(platform.documents, AGGREGATES, bus, platform.backlog)
    analyses = StoredAnalyses(Aggregates(AnalysisRecord, ANALYSES, platform.documents, CODEC, relay))
    analyze = AnalyzeCharacter(analyses, PortraitAnalyzer(platform.cpu), StoredPictures(platform.objects))
    held = HeldEvents(platform.documents, "vision")
    consumer = Consumer(bus, [subscription(analyze, platform.topics)], held, platform.checkpoints, HEAVY_BATCH_LIMIT)
    return Hosted(
        name="vision",
        rpc_names=RPC_NAMES,
        register=partial(add_VisionServiceServicer_to_server, VisionServicer(analyses)),
        bus=bus,
        store=platform.documents.check,
        relay=relay.run,
        dead_letters=held,
        background={"held": consumer.retries.run},
    )
