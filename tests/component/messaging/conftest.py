"""One embedded broker and one consumer group for the module: joining a group takes seconds. Each test has a lane."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents import OutgoingEvent
from continuity.kernel.errors import ContinuityError
from continuity.kernel.ids import new_id
from continuity.messaging.bus import EventBus
from continuity.messaging.cause import current_cause
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.envelope import Event
from continuity.messaging.topics import Topic

LANES = 40
PATIENCE_S = 20.0

Handler = Callable[[str, CharacterDeleted], Awaitable[None]]


async def accept(project: str, message: CharacterDeleted) -> None:
    """Handle an event by doing nothing."""


@dataclass
class Checkpointed:
    """Remembers what was handled."""

    ids: list[str] = field(default_factory=list)

    async def handled(self, group: str, event_id: str) -> None:
        self.ids.append(event_id)


@dataclass
class Lane:
    """A topic of one test: what comes is counted and given to ``handle``; what is put aside is in ``dead``."""

    topic: Topic
    bus: EventBus
    checkpoints: Checkpointed
    handle: Handler = accept
    told_dead: Callable[[Event, ContinuityError], Awaitable[None]] | None = None
    causes: list[Event] = field(default_factory=list)
    done: list[CharacterDeleted] = field(default_factory=list)
    dead: list[Any] = field(default_factory=list)
    consumer: Consumer = field(init=False)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        subscription = Subscription(self.topic, {CharacterDeleted: self._handle}, self._on_dead)
        self.consumer = Consumer(self.bus, subscription, self.checkpoints)
        self.bus.subscribe(self.topic.dead_letter, self._keep_dead)

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

    async def _handle(self, project: str, message: CharacterDeleted) -> None:
        cause = current_cause()
        assert cause is not None
        self.causes.append(cause)
        try:
            await self.handle(project, message)
            self.done.append(message)
        finally:
            await self._move()

    async def _on_dead(self, event: Event, error: ContinuityError) -> None:
        if self.told_dead is not None:
            await self.told_dead(event, error)

    async def _keep_dead(self, record: Any) -> None:
        self.dead.append(record.raw_message)
        await self._move()
        await record.ack()

    async def _move(self) -> None:
        async with self._moved:
            self._moved.notify_all()


def topic_named(name: str) -> Topic:
    return Topic(name, "test", "id", 4, None, ("screening",), ("CharacterDeleted",), f"{name}.dead", outbox=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker() -> AsyncIterator[EmbeddedBroker]:
    running = EmbeddedBroker()
    yield running
    running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(broker: EmbeddedBroker) -> AsyncIterator[list[Lane]]:
    bus = EventBus(broker.bootstrap_servers, "screening")
    made = [Lane(topic_named(f"continuity.lane-{number}.v1"), bus, Checkpointed()) for number in range(LANES)]
    await broker.create(name for lane in made for name in (lane.topic.name, lane.topic.dead_letter))
    await bus.start()
    yield made
    await bus.stop()


@pytest.fixture
def lane(lanes: list[Lane], monkeypatch: pytest.MonkeyPatch) -> Lane:
    """Return a topic that no other test has used, with short pauses between attempts."""
    monkeypatch.setattr("continuity.messaging.consumer.FIRST_DELAY_S", 0.001)
    return lanes.pop()


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
