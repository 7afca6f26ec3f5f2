"""Wires the matting service."""

from __future__ import annotations

from functools import partial

from continuity.api.matting.v1.matting_service_pb2_grpc import add_MattingServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.messaging.consumer import Consumer
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from services.matting.adapters.portrait_matter import PortraitMatter
from services.matting.adapters.stored_mattes import MATTES, StoredMattes
from services.matting.adapters.stored_pictures import StoredPictures
from services.matting.domain.matte import MatteRecord
from services.matting.entrypoints.mapping import CODEC
from services.matting.entrypoints.servicer import RPC_NAMES, MattingServicer
from services.matting.entrypoints.subscribers import subscription
from services.matting.handlers.matte_character import MatteCharacter
from services.matting.settings import Settings

COLLECTIONS = (MATTES,)


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    bus = platform.bus("matting")
    relay = Relay(platform.documents, COLLECTIONS, bus, platform.backlog)
    mattes = StoredMattes(Aggregates(MatteRecord, MATTES, platform.documents, CODEC, relay))
    matte = MatteCharacter(mattes, PortraitMatter(platform.cpu), StoredPictures(platform.objects))
    Consumer(bus, subscription(matte, platform.topics), platform.checkpoints)
    return Hosted(
        name="matting",
        rpc_names=RPC_NAMES,
        register=partial(add_MattingServiceServicer_to_server, MattingServicer(mattes)),
        bus=bus,
        store=platform.documents.check,
        background={"relay": relay.run},
    )
