"""Records that Kafka takes and its client cannot decode: put aside, and what lies around them is handled once."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import TopicPartition

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.ids import new_id
from continuity.messaging.checkpoints import NoCheckpoints
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.envelope import headers
from continuity.messaging.held_event import DEAD
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.reading import Reading
from tests.component.messaging.conftest import PATIENCE_S, topic_named

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTITIONS = 4
SPOILT = 2
"""A partition with records that cannot be read; what was fetched from others with them is not to be lost."""
GOOD = 20


class NoText(str):
    """A header's name that another client than ours would send."""

    def encode(self, *_):
        return b"\xff\xfe"


async def send_no_text(producer, topic, partition):
    """Send a record whose header has such a name: clients for Python encode them all properly."""
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 16_384)
    batch.append(key=b"k", value=b"v", timestamp=1, headers=[(NoText("x"), b"1")])
    await (await producer.send_batch(batch, topic, partition=partition))


@asynccontextmanager
async def producing(broker):
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def topic(broker):
    made = replace(topic_named(f"continuity.{new_id()}.v1"), partitions=PARTITIONS)
    await broker.create([made])
    return made


@asynccontextmanager
async def consuming(new_bus, topic, folder):
    """Run a consumer of the topic; yield what it has handled and what it holds."""
    documents = await SqliteDocuments(folder / "documents.sqlite3", [held_collection(topic.name)]).open()
    bus, handled, moved = new_bus(topic.name), Counter(), asyncio.Event()
    held = HeldEvents(documents, topic.name)

    async def handle(project, message):
        handled[message.character_id, message.version] += 1
        moved.set()

    consumer = Consumer(bus, [Subscription(topic, {CharacterDeleted: handle})], held, NoCheckpoints())
    retrying = asyncio.create_task(consumer.retries.run())
    await bus.start()
    try:
        yield handled, held, moved
    finally:
        retrying.cancel()
        await asyncio.gather(retrying, return_exceptions=True)
        await bus.stop()
        await documents.close()


async def test_it_is_put_aside_and_everything_around_it_is_handled_once(broker, new_bus, topic, tmp_path, event_of):
    async with producing(broker) as producer:
        expected = {("before", 0), ("after", 0)}
        await send_good(producer, topic, event_of, "before", 0, partition=1)
        for version in range(GOOD):
            for partition in range(PARTITIONS):
                who = f"reel-{partition}"
                await send_good(producer, topic, event_of, who, version, partition)
                expected.add((who, version))
            if version in (7, 8):
                await send_no_text(producer, topic.name, SPOILT)
        await send_good(producer, topic, event_of, "after", 0, partition=0)
        async with asyncio.timeout(PATIENCE_S), consuming(new_bus, topic, tmp_path) as (handled, held, moved):
            while set(handled) != expected:
                moved.clear()
                await moved.wait()
            while len(put_aside := (await held.list(DEAD))[0]) < 2:
                await asyncio.sleep(0.02)
        assert set(handled.values()) == {1}
        assert Counter(each.record.partition for each in put_aside) == {SPOILT: 2}
        assert all("utf-8" in dict(each.record.headers)["unreadable"].decode() for each in put_aside)
        assert {each.failure.reason for each in put_aside} == {"EVENT_MALFORMED"}


async def send_good(producer, topic, event_of, who, version, partition):
    told = event_of(topic.name, who, version)
    said = [(name, value.encode()) for name, value in headers(told).items()]
    await producer.send_and_wait(topic.name, told.payload, key=who.encode(), headers=said, partition=partition)


class Client:
    """A consumer of one partition whose broker goes away when it is to go back, once."""

    def __init__(self):
        self.place = TopicPartition("reels", 0)
        self.went_back = []
        self._away = True

    def assignment(self):
        return {self.place}

    async def end_offsets(self, places):
        if self._away:
            self._away = False
            raise KafkaError
        return dict.fromkeys(places, 0)

    async def committed(self, place):
        return 4

    def seek(self, place, offset):
        self.went_back.append((place, offset))

    async def position(self, place):
        return 9


async def test_a_broker_that_is_away_just_then_is_asked_again_before_anything_else_is_read():
    async def breaks(client):
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    client, reading = Client(), Reading(breaks, 10, grouped=True)
    with pytest.raises(KafkaError):
        await reading(client)
    assert client.went_back == []
    await reading(client)
    assert client.went_back == [(client.place, 4)]
