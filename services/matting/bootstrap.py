"""Wires the matting service."""

from __future__ import annotations

from functools import partial

from continuity.api.matting.v1.matting_service_pb2_grpc import add_MattingServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.kernel.clock import SystemClock
from continuity.messaging.consumer import HEAVY_BATCH_LIMIT, Consumer
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.objects.collector import Collector
from continuity.objects.references import DocumentReferences
from services.matting.adapters.portrait_matter import PortraitMatter
from services.matting.adapters.stored_mattes import MATTE, MATTES, StoredMattes
from services.matting.adapters.stored_pictures import FOLDER, StoredPictures
from services.matting.domain.matte import MatteRecord
from services.matting.entrypoints.mapping import CODEC
from services.matting.entrypoints.servicer import RPC_NAMES, MattingServicer
from services.matting.entrypoints.subscribers import subscription
from services.matting.handlers.matte_character import MatteCharacter
from services.matting.settings import Settings

AGGREGATES = (MATTES,)
COLLECTIONS = (*AGGREGATES, held_collection("matting"))


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    bus = platform.bus("matting", at_leisure=True)
    relay = Relay(platform.documents, AGGREGATES, bus, platform.backlog)
    mattes = StoredMattes(Aggregates(MatteRecord, MATTES, platform.documents, CODEC, relay))
    matte = MatteCharacter(mattes, PortraitMatter(platform.cpu), StoredPictures(platform.objects))
    held = HeldEvents(platform.documents, "matting")
    consumer = Consumer(bus, [subscription(matte, platform.topics)], held, platform.checkpoints, HEAVY_BATCH_LIMIT)
    references = DocumentReferences(platform.documents, (MATTES, MATTE))
    collector = Collector(platform.objects, FOLDER, references, SystemClock(), grace_s=settings.collect_after_s)
    return Hosted(
        name="matting",
        rpc_names=RPC_NAMES,
        register=partial(add_MattingServiceServicer_to_server, MattingServicer(mattes)),
        bus=bus,
        store=platform.documents.check,
        relay=relay.run,
        dead_letters=held,
        background={"held": consumer.retries.run, "mattes": collector.run},
    )
