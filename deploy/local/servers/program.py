"""One of our own processes: a replica of a service, or Triton with its watchdog."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from continuity.inference.processes import children
from deploy.local.cache import ROOT
from deploy.local.ports import accepts, free_port
from deploy.local.servers.base import Server

HEALTH_LIMIT_S = 2.0


class Program(Server):
    """``python -m module`` on a port of its own, with the given ``CONTINUITY_…`` variables."""

    start_limit_s = 120.0

    def __init__(self, folder: Path, module: str, variables: Mapping[str, str], *, name: str) -> None:
        super().__init__(folder, free_port())
        self.name = name
        self.module = module
        self._variables = variables

    def command(self) -> Sequence[str]:
        """Return the command line."""
        return [sys.executable, "-m", self.module]

    def environment(self) -> Mapping[str, str]:
        """Return the variables and where it listens."""
        paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"}
        return {**super().environment(), **paths, **self._variables, "CONTINUITY_LISTEN_ADDRESS": self.address}

    def answers(self) -> bool:
        """Tell whether it says of itself that it is SERVING."""
        if not accepts(self.port):
            return False
        with grpc.insecure_channel(self.address) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                answer = check(health_pb2.HealthCheckRequest(service=""), timeout=HEALTH_LIMIT_S)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def descendants(self, command: str) -> list[int]:
        """Return the process ids below this one whose command's name contains ``command``."""
        return [pid for pid in _below(self.pid) if command in _name(pid)] if self.pid else []


class Triton(Program):
    """The real Triton server under its watchdog; it answers once the server serves."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        super().__init__(folder, "services.embedded.triton", variables, name="triton")

    def answers(self) -> bool:
        """Tell whether the server accepts calls; it does so when its models are ready."""
        return accepts(self.port)


def _below(pid: int) -> list[int]:
    direct = children(pid)
    return direct + [lower for child in direct for lower in _below(child)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""
