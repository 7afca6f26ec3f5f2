"""A host with one service whose parts each test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from continuity.documents import DocumentsUnavailable
from continuity.hosting import hosted
from continuity.hosting.hosted import Host, Hosted
from continuity.messaging.connection import BrokerMisconfigured, BrokerUnavailable


@dataclass
class QuietBus:
    """A bus that only notes when it starts and stops."""

    log: list[str]
    service: str = "screening"
    away: bool = False
    misconfigured: BrokerMisconfigured | None = None

    async def start(self) -> None:
        self.log.append("bus started")

    async def connected(self) -> None:
        if self.misconfigured is not None:
            raise self.misconfigured

    async def stop_consuming(self) -> None:
        self.log.append("consuming stopped")

    async def stop(self) -> None:
        self.log.append("bus stopped")

    async def check(self) -> None:
        if self.away:
            raise BrokerUnavailable


@dataclass
class Switch:
    """A check that passes until ``error`` is set."""

    error: Exception | None = None

    async def __call__(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Stage:
    """What a service is made of, and what has happened to it."""

    log: list[str] = field(default_factory=list)
    store: Switch = field(default_factory=Switch)
    renderer: Switch = field(default_factory=Switch)

    def service(self, name: str = "screening", **changes: Any) -> Hosted:
        async def close() -> None:
            self.log.append("closed")

        values: dict[str, Any] = {
            "name": name,
            "rpc_names": (f"continuity.{name}",),
            "register": lambda server: None,
            "bus": QuietBus(self.log),
            "store": self.store,
            "dependencies": {"continuity.renderer": self.renderer},
            "close": close,
        }
        return Hosted(**(values | changes))


@dataclass
class Health:
    """Asks a host for the health of a name."""

    address: str

    async def of(self, name: str) -> str:
        async with grpc.aio.insecure_channel(self.address) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    async def becomes(self, name: str, status: str) -> None:
        async with asyncio.timeout(10), grpc.aio.insecure_channel(self.address) as channel:
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
            async for answer in watching:
                if health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == status:
                    return


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted, "HEALTH_INTERVAL_S", 0.05)
    monkeypatch.setattr(hosted, "FIRST_RESTART_S", 0.01)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def unavailable() -> Exception:
    return DocumentsUnavailable(cause="the disk is full")


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    """Start a host of some services; return it and its health."""
    hosts: list[Host] = []

    async def run(*services: Hosted) -> tuple[Host, Health]:
        host = Host("127.0.0.1:0", services)
        hosts.append(host)
        return host, Health(await host.start())

    yield run
    for host in hosts:
        await host.stop(0)
