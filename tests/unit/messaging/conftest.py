"""A store of reels, and a bus that keeps what is published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from continuity.api.events.v1 import character_events_pb2 as pb
from continuity.documents import Collection, Documents, OutgoingEvent
from continuity.kernel.values import Change
from continuity.messaging import relay as relay_module
from continuity.messaging.codec import EventCodec, Publication
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import Published, TopicMissing
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates

REELS = Collection("reels", unique=(("label",),))


@dataclass(frozen=True)
class Splice:
    at_s: float
    note: str = ""


@dataclass(frozen=True)
class Reel:
    id: str
    cuts: int = 0
    label: str | None = None
    splices: tuple[Splice, ...] = ()


@dataclass(frozen=True)
class ReelCut:
    character_id: str
    version: int
    name: str = ""


CODEC = EventCodec(
    "cutting", {ReelCut: Publication("continuity.reel.v1", pb.CharacterIngested, lambda event: event.character_id)}
)


def cut(reel: Reel) -> Change[Reel]:
    changed = replace(reel, cuts=reel.cuts + 1)
    return Change(changed, [ReelCut(reel.id, changed.cuts)])


@dataclass
class FakeBus:
    """Keeps what is published; ``away`` makes it a broker that does not answer."""

    service: str = "cutting"
    away: bool = False
    refused: int = 0
    published: list[OutgoingEvent] = field(default_factory=list)
    raw: list[tuple[str, bytes | None, bytes, dict[str, str]]] = field(default_factory=list)
    subscribed: list[str] = field(default_factory=list)
    refuses: set[tuple[str, str]] = field(default_factory=set)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish_each(self, outboxes: Sequence[Sequence[OutgoingEvent]]) -> list[Published]:
        outcomes = [self._publish(outbox) for outbox in outboxes]
        async with self._moved:
            self._moved.notify_all()
        return outcomes

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes, headers: dict[str, str]) -> None:
        if self.away:
            raise BrokerUnavailable
        self.raw.append((topic, key, value, headers))
        async with self._moved:
            self._moved.notify_all()

    def subscribe(self, topics: Sequence[str], handle: Any, batch_limit: int) -> None:
        self.subscribed += topics

    def _publish(self, outbox: Sequence[OutgoingEvent]) -> Published:
        if self.away:
            self.refused += 1
            return Published(0, BrokerUnavailable())
        for number, event in enumerate(outbox):
            if (event.topic, event.key) in self.refuses:
                self.refused += 1
                return Published(number, TopicMissing(topic=event.topic))
            self.published.append(event)
        return Published(len(outbox))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._moved:
            await self._moved.wait_for(condition)


@dataclass
class HandClock:
    """A clock that tests turn."""

    time: float = 0.0

    def now(self) -> float:
        return self.time


@pytest.fixture(autouse=True)
def _sweeping_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(relay_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(relay_module, "DRAIN_S", 0.5)


@pytest_asyncio.fixture
async def documents(open_documents: Callable[..., Awaitable[Documents]]) -> Documents:
    return await open_documents(REELS)


@pytest.fixture
def collection() -> Collection:
    return REELS


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def clock() -> HandClock:
    """Stand at the epoch."""
    return HandClock()


@pytest.fixture
def relay(documents: Documents, bus: Any, clock: HandClock) -> Relay:
    return Relay(documents, [REELS], bus, clock=clock)


@pytest.fixture
def reels(documents: Documents, relay: Relay) -> Aggregates[Reel]:
    return Aggregates(Reel, REELS, documents, CODEC, relay)


@pytest.fixture
def new_reel() -> type[Reel]:
    return Reel


@pytest.fixture
def splice() -> type[Splice]:
    return Splice


@pytest.fixture
def cutting() -> Callable[[Reel], Change[Reel]]:
    """Cut a reel once more, and tell of it."""
    return cut


@pytest.fixture
def reel_cut() -> type[ReelCut]:
    return ReelCut


@pytest.fixture
def codec() -> EventCodec:
    return CODEC


@pytest.fixture
def running() -> Callable[[Relay], AbstractAsyncContextManager[None]]:
    """Run a relay for as long as a block lasts."""

    @asynccontextmanager
    async def run(relay: Relay) -> AsyncIterator[None]:
        task = asyncio.create_task(relay.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run
