"""Wires the prompts service."""

from __future__ import annotations

from functools import partial

from continuity.api.prompts.v1.prompt_service_pb2_grpc import add_PromptServiceServicer_to_server
from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.kernel.clock import SystemClock
from continuity.messaging.consumer import Consumer
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from services.prompts.adapters.stored_prompts import PROMPTS, StoredPrompts
from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.prompts.domain.record import PromptRecord
from services.prompts.entrypoints.mapping import CODEC
from services.prompts.entrypoints.servicer import RPC_NAMES, PromptServicer
from services.prompts.entrypoints.subscribers import subscription
from services.prompts.handlers.build_prompts import BuildPrompts
from services.prompts.settings import Settings

AGGREGATES = (PROMPTS,)
COLLECTIONS = (*AGGREGATES, held_collection("prompts"))


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    bus = platform.bus("prompts")
    relay = Relay(platform.documents, AGGREGATES, bus, platform.backlog)
    prompts = StoredPrompts(Aggregates(PromptRecord, PROMPTS, platform.documents, CODEC, relay))
    vocabulary = read_vocabulary()
    held = HeldEvents(platform.documents, "prompts")
    build = BuildPrompts(prompts, vocabulary, SystemClock())
    consumer = Consumer(bus, [subscription(build, platform.topics)], held, platform.checkpoints)
    servicer = PromptServicer(prompts, vocabulary)
    return Hosted(
        name="prompts",
        rpc_names=RPC_NAMES,
        register=partial(add_PromptServiceServicer_to_server, servicer),
        bus=bus,
        store=platform.documents.check,
        relay=relay.run,
        dead_letters=held,
        background={"held": consumer.retries.run},
    )
