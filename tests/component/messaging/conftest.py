"""One embedded broker, store and consumer group for the module: joining a group takes seconds. Each test has a lane."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
from continuity.messaging.bus import EventBus
from continuity.messaging.cause import current_cause
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.embedded_broker import EMBEDDED_FETCH_WAIT_S, EmbeddedBroker
from continuity.messaging.envelope import Event
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.record import Record
from continuity.messaging.topics import Topic

LANES = 60
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
    return Topic(name, "test", "id", 4, None, ("screening",), ("CharacterDeleted",), f"{name}.dead", outbox=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker() -> AsyncIterator[EmbeddedBroker]:
    running = EmbeddedBroker()
    yield running
    running.close()


@pytest.fixture(scope="module")
def new_bus(broker: EmbeddedBroker) -> Callable[[str], EventBus]:
    """Make another bus on the broker."""
    return lambda service: EventBus(
        KafkaConnection(broker.bootstrap_servers), service, fetch_wait_s=EMBEDDED_FETCH_WAIT_S
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(
    broker: EmbeddedBroker, new_bus: Callable[[str], EventBus], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Lane]]:
    bus, undertaker = new_bus("screening"), new_bus("undertaker")
    made = [Lane(topic_named(f"continuity.lane-{number}.v1"), bus) for number in range(LANES)]
    await broker.create(name for lane in made for name in (lane.topic.name, lane.topic.dead_letter))
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


@pytest.fixture
def event(lane: Lane) -> Callable[..., OutgoingEvent]:
    """Make an event for the lane."""

    def make(key: str = "a", version: int = 1, **changes: Any) -> OutgoingEvent:
        values = {
            "id": new_id(),
            "source": "continuity/test",
            "type": "CharacterDeleted",
            "topic": lane.topic.name,
            "key": key,
            "project": "default",
            "time": 1_700_000_000.0,
            "payload": CharacterDeleted(character_id=key, version=version).SerializeToString(),
        }
        return OutgoingEvent(**(values | changes))

    return make
