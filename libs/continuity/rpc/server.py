"""The gRPC server that services run in: one port, health, reflection, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from continuity.kernel.errors import Misconfigured
from continuity.rpc.calls import Calls
from continuity.rpc.channel import MAX_MESSAGE_BYTES
from continuity.rpc.limit import CallLimit

MAX_CONCURRENT_CALLS = 1_000
GRPC_MAX_CALLS = 2 * MAX_CONCURRENT_CALLS
"""Where gRPC itself refuses, without a word on when to come again: calls that come before others are counted."""

Registration = Callable[[grpc.aio.Server], None]

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(eq=False)
class PortTaken(Misconfigured):
    """The address cannot be listened on."""

    template = "CONTINUITY_LISTEN_ADDRESS: cannot listen on {address}"
    address: str


class RpcServer:
    """A gRPC server with everything that ours have in common."""

    def __init__(self, address: str, max_calls: int = MAX_CONCURRENT_CALLS) -> None:
        self.calls = Calls()
        self.health = health.aio.HealthServicer()
        self._names: list[str] = [health.SERVICE_NAME, reflection.SERVICE_NAME]
        self._address = address
        self._server = grpc.aio.server(
            interceptors=[CallLimit(lambda: self.calls.in_flight, max_calls), self.calls],
            maximum_concurrent_rpcs=GRPC_MAX_CALLS,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)

    def add(self, register: Registration, names: Iterable[str]) -> None:
        """Add services by their registration function and full names."""
        register(self._server)
        self._names.extend(names)

    async def start(self) -> str:
        """Begin to listen; return the address with the port that was chosen. Raises ``PortTaken``."""
        reflection.enable_server_reflection(self._names, self._server)
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError:
            raise PortTaken(address=self._address) from None
        await self._server.start()
        return f"{self._address.rsplit(':', 1)[0]}:{port}"

    async def set_health(self, name: str, serving: bool) -> None:
        """Set the health of a name: a service, the server ("") or something that it depends on."""
        await self.health.set(name, SERVING if serving else NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let running ones finish within ``grace_s``, then end them."""
        await self.health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
