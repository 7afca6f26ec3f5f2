"""How services are, as they say themselves by gRPC health."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from continuity.api.characters.v1 import character_service_pb2
from continuity.api.locations.v1 import location_service_pb2
from continuity.api.matting.v1 import matting_service_pb2
from continuity.api.prompts.v1 import prompt_service_pb2
from continuity.api.rendering.v1 import render_service_pb2
from continuity.api.vision.v1 import vision_service_pb2
from continuity.client.dead_letters import SERVICE_HEADER
from continuity.rpc.channel import open_channel

TIMEOUT_S = 5.0
SERVING = "SERVING"
RENDERER_HEALTH = "continuity.renderer"
ASKED = {
    character_service_pb2.DESCRIPTOR.services_by_name["CharacterService"].full_name: "characters",
    location_service_pb2.DESCRIPTOR.services_by_name["LocationService"].full_name: "characters",
    vision_service_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name: "vision",
    matting_service_pb2.DESCRIPTOR.services_by_name["MattingService"].full_name: "matting",
    prompt_service_pb2.DESCRIPTOR.services_by_name["PromptService"].full_name: "prompts",
    render_service_pb2.DESCRIPTOR.services_by_name["RenderService"].full_name: "rendering",
    "continuity.broker": "rendering",
    RENDERER_HEALTH: "rendering",
}
"""Every health name that rendering a film depends on, and the service whose process answers for it."""


async def healths(address: str) -> Mapping[str, str]:
    """Return the health of every name in ``ASKED``, as ``SERVING``; where none is told, gRPC's reason."""
    async with open_channel(address) as channel:
        stub = HealthStub(channel)
        told = await asyncio.gather(*(_health(stub, name, service) for name, service in ASKED.items()))
    return dict(zip(ASKED, told, strict=True))


async def _health(stub: HealthStub, name: str, service: str) -> str:
    request = HealthCheckRequest(service=name)
    try:
        answer = await stub.Check(request, timeout=TIMEOUT_S, metadata=((SERVICE_HEADER, service),))  # type: ignore[attr-defined]  # not in the stubs
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return str(HealthCheckResponse.ServingStatus.Name(answer.status))
