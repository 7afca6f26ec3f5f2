"""What a service says of itself."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

LIMIT_S = 100.0
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def until_not_serving(address: str, name: str) -> None:
    """Return when the service says that ``name`` is NOT_SERVING."""
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(LIMIT_S):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
        async for answer in watch:
            if answer.status == NOT_SERVING:
                return
