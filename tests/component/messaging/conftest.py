"""One broker, store and consumer group for the module: joining a group takes seconds. Each test has a lane.

The broker is the embedded one and, for tests with the marker ``infra``, a real Kafka.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents import OutgoingEvent
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.ids import new_id
from continuity.kernel.values import Failure
from continuity.messaging import verdict
from continuity.messaging.administration import ensure_topics
from continuity.messaging.bus import FETCH_WAIT_S, EventBus
from continuity.messaging.cause import current_cause
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.embedded_broker import EMBEDDED_FETCH_WAIT_S, EmbeddedBroker
from continuity.messaging.envelope import Event
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.record import Record
from continuity.messaging.topics import Topic, broker_topics

LANES = 48
PATIENCE_S = 20.0

Handler = Callable[[str, CharacterDeleted], Awaitable[None]]


async def accept(project: str, message: CharacterDeleted) -> None:
    """Handle an event by doing nothing."""


@dataclass
class Checkpointed:
    """Remembers what was handled."""

    ids: list[str] = field(default_factory=list)

    async def handled(self, group: str, event_ids: Sequence[str]) -> None:
        self.ids += event_ids


@dataclass
class Lane:
    """A topic of one test: what comes is counted and given to ``handle``; what is given up is in ``dead``."""

    topic: Topic
    bus: EventBus
    handle: Handler = accept
    told_dead: Callable[[Event, Failure], Awaitable[None]] | None = None
    causes: list[Event] = field(default_factory=list)
    done: list[CharacterDeleted] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    consumer: Consumer = field(init=False)
    held: HeldEvents = field(init=False)
    checkpoints: Checkpointed = field(init=False)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def subscription(self) -> Subscription:
        return Subscription(self.topic, {CharacterDeleted: self._handle}, self._on_dead)

    async def publish(self, *events: OutgoingEvent) -> None:
        await self.bus.publish(events)

    async def publish_raw(
        self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], key: str = "a"
    ) -> None:
        """Publish a record as somebody else's program might."""
        producer = self.bus._broker.config.producer._producer.producer
        await producer.send_and_wait(self.topic.name, value, key=key.encode(), headers=list(headers))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that came makes the condition true."""
        async with asyncio.timeout(PATIENCE_S), self._moved:
            await self._moved.wait_for(condition)

    async def nothing_held(self) -> None:
        """Return when no event of this lane waits any more."""
        async with asyncio.timeout(PATIENCE_S):
            while any(held.record.topic == self.topic.name for held in (await self.held.list("waiting", 500))[0]):
                await asyncio.sleep(0.01)

    async def bury(self, record: Record) -> None:
        self.dead.append(record)
        await self.move()

    async def move(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _handle(self, project: str, message: CharacterDeleted) -> None:
        cause = current_cause()
        assert cause is not None
        self.causes.append(cause)
        try:
            await self.handle(project, message)
            self.done.append(message)
        finally:
            await self.move()

    async def _on_dead(self, event: Event, failure: Failure) -> None:
        if self.told_dead is not None:
            await self.told_dead(event, failure)


def topic_named(name: str) -> Topic:
    return Topic(name, "test", "id", 2, None, ("screening",), ("CharacterDeleted",), f"{name}.dead", outbox=True)


@dataclass(frozen=True)
class Broker:
    """A running broker; ``create`` makes topics with what belongs to them."""

    bootstrap_servers: str
    fetch_wait_s: float
    create: Callable[[Iterable[Topic]], Awaitable[None]]


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["embedded", pytest.param("kafka", marks=[pytest.mark.infra, pytest.mark.slow])],
)
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    if request.param == "kafka":
        yield on_kafka(request.getfixturevalue("kafka").address)
        return
    running = EmbeddedBroker()
    yield embedded(running)
    running.close()


def on_kafka(address: str) -> Broker:
    async def create(topics: Iterable[Topic]) -> None:
        await ensure_topics(KafkaConnection(address), broker_topics({topic.name: topic for topic in topics}))

    return Broker(address, FETCH_WAIT_S, create)


def embedded(running: EmbeddedBroker) -> Broker:
    async def create(topics: Iterable[Topic]) -> None:
        await running.create(broker_topics({topic.name: topic for topic in topics}))

    return Broker(running.bootstrap_servers, EMBEDDED_FETCH_WAIT_S, create)


@pytest.fixture(scope="module")
def new_bus(broker: Broker) -> Callable[[str], EventBus]:
    """Make another bus on the broker."""
    return lambda service: EventBus(
        KafkaConnection(broker.bootstrap_servers), service, fetch_wait_s=broker.fetch_wait_s
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(
    broker: Broker, new_bus: Callable[[str], EventBus], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Lane]]:
    bus, undertaker = new_bus("screening"), new_bus("undertaker")
    studio = new_id()  # a real broker has the lanes of other modules, too
    made = [Lane(topic_named(f"continuity.{studio}.lane-{number}.v1"), bus) for number in range(LANES)]
    await broker.create(lane.topic for lane in made)
    path = tmp_path_factory.mktemp("held") / "documents.sqlite3"
    documents = await SqliteDocuments(path, [held_collection("screening")]).open()
    held, checkpoints = HeldEvents(documents, "screening"), Checkpointed()
    consumer = Consumer(bus, [lane.subscription for lane in made], held, checkpoints)
    by_dead_letter = {lane.topic.dead_letter: lane for lane in made}
    for lane in made:
        lane.consumer, lane.held, lane.checkpoints = consumer, held, checkpoints

    async def bury(records: Sequence[Record]) -> None:
        for record in records:
            await by_dead_letter[record.topic].bury(record)

    undertaker.subscribe(list(by_dead_letter), bury, 100)
    retrying = asyncio.create_task(consumer.retries.run())
    for each in (bus, undertaker):
        await each.start()
    await asyncio.gather(bus.connected(), undertaker.connected())
    yield made
    for each in (bus, undertaker):
        await each.stop()
    retrying.cancel()
    await asyncio.gather(retrying, return_exceptions=True)
    await documents.close()


@pytest.fixture
def lane(lanes: list[Lane], monkeypatch: pytest.MonkeyPatch) -> Lane:
    """Return a topic that no other test has used, with short pauses between attempts."""
    monkeypatch.setattr(verdict, "FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(verdict, "MAX_DELAY_S", 0.02)
    lane = lanes.pop()
    lane.consumer.outcomes.clear()
    return lane


@pytest.fixture(scope="module")
def event_of() -> Callable[..., OutgoingEvent]:
    """Make an event for a topic."""

    def make(topic: str, key: str, version: int = 1, **changes: Any) -> OutgoingEvent:
        values = {
            "id": new_id(),
            "source": "continuity/test",
            "type": "CharacterDeleted",
            "topic": topic,
            "key": key,
            "project": "default",
            "time": 1_700_000_000.0,
            "payload": CharacterDeleted(character_id=key, version=version).SerializeToString(),
        }
        return OutgoingEvent(**(values | changes))

    return make


@pytest.fixture
def event(lane: Lane, event_of: Callable[..., OutgoingEvent]) -> Callable[..., OutgoingEvent]:
    """Make an event for the lane."""

    def make(key: str = "a", version: int = 1, **changes: Any) -> OutgoingEvent:
        return event_of(key=key, version=version, **({"topic": lane.topic.name} | changes))

    return make
