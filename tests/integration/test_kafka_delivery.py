"""Delivery over a real broker: one that dies and comes back, groups that begin again, and records that are too long."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka.admin import AdminClient

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.events.v1 import character_events_pb2 as characters
from continuity.api.events.v1 import location_events_pb2 as locations
from continuity.api.locations.v1.location_pb2 import Location
from continuity.documents import Collection, Document, OutgoingEvent, Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.clock import SystemClock
from continuity.kernel.ids import new_id
from continuity.messaging.administration import TopicDenied, ensure_topics
from continuity.messaging.bus import EventBus
from continuity.messaging.checkpoints import NoCheckpoints
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.publishing import TopicMissing
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.messaging.topics import Topic, broker_topics, load_topics
from services.rendering.adapters.stored_cast import CAST, StoredCast
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.job import Job
from services.rendering.entrypoints.mapping import CODEC
from services.rendering.entrypoints.subscribers import subscriptions
from services.rendering.handlers.freeze_cast import FreezeCast
from tests.integration.topics import names, remove

pytestmark = [pytest.mark.infra, pytest.mark.slow]

REELS = Collection("reels")
PATIENCE_S = 60.0
KEYS = "abc"


def event(topic, key, message):
    return OutgoingEvent(
        new_id(), "continuity/test", message.DESCRIPTOR.name, topic, key, "film", 1.0, message.SerializeToString()
    )


@asynccontextmanager
async def running(*tasks):
    begun = [asyncio.create_task(run()) for run in tasks]
    try:
        yield
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)


async def tell(documents, relay, topic, key, version):
    """Write the next version of a reel with the event that tells of it."""
    told = [event(topic.name, key, characters.CharacterDeleted(character_id=key, version=version))]
    document = Document("film", key, version - 1, {})
    write = documents.insert if version == 1 else documents.replace
    await write(REELS, document, told, relay.owner)
    relay.nudge(Ref("reels", "film", key))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def stores(tmp_path):
    opened = []

    async def another(*collections):
        opened.append(await SqliteDocuments(tmp_path / f"{len(opened)}.sqlite3", collections).open())
        return opened[-1]

    yield another
    for store in opened:
        await store.close()


@pytest.fixture
def topic():
    name = f"test.{new_id()}.v1"
    return Topic(name, "cutting", "id", 4, None, ("screening",), ("CharacterDeleted",), f"{name}.dead", outbox=True)


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing_and_keeps_the_order(tmp_path, stores, topic):
    from deploy.local.servers.kafka import Kafka

    broker = Kafka(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    connection = KafkaConnection(broker.address)
    documents = await stores(REELS, held_collection("screening"))
    bus = EventBus(connection, "screening", partial(ensure_topics, connection, broker_topics({topic.name: topic})))
    seen = []

    async def handle(project, message):
        seen.append((message.character_id, message.version))

    held = HeldEvents(documents, "screening")
    consumer = Consumer(bus, [Subscription(topic, {characters.CharacterDeleted: handle})], held, NoCheckpoints())
    relay = Relay(documents, [REELS], bus)

    await bus.start()
    async with running(relay.run, consumer.retries.run):
        for key in KEYS:
            await tell(documents, relay, topic, key, 1)
        await until(lambda: len(seen) == len(KEYS))
        await asyncio.to_thread(broker.kill)
        for version in range(2, 10):
            for key in KEYS:
                await tell(documents, relay, topic, key, version)
        await asyncio.to_thread(broker.restart)
        await until(lambda: {("a", 9), ("b", 9), ("c", 9)} <= set(seen))
    await bus.stop()
    await asyncio.to_thread(broker.stop)
    for key in KEYS:
        mine = list(dict.fromkeys(version for whose, version in seen if whose == key))
        assert mine == list(range(1, 10))


async def test_a_group_that_joins_late_or_begins_again_rebuilds_what_it_knew(kafka, stores, tmp_path):
    topics = {name: topic for name, topic in load_topics().items() if "rendering" in topic.consumers and topic.outbox}
    connection = KafkaConnection(kafka.address)
    await ensure_topics(connection, broker_topics(topics))
    publisher = EventBus(connection, "characters")
    await publisher.start()
    await publisher.connected()
    told = [
        *(_ready(who, version) for who in ("ward", "reyes", "okafor") for version in (1, 2)),
        event(
            "continuity.location.v1", "pad", locations.LocationSaved(location=Location(id="pad", name="P", version=4))
        ),
        event("continuity.character.v1", "okafor", characters.CharacterDeleted(character_id="okafor", version=3)),
    ]
    await publisher.publish(told)
    expected = {"ward": (2, False), "reyes": (2, False), "okafor": (3, True), "pad": (4, False)}
    group = f"rendering-{new_id()}"
    assert await _projection(connection, group, await stores(CAST, JOBS, held_collection(group)), expected) == expected
    await asyncio.to_thread(_forget, kafka.address, group)
    assert await _projection(connection, group, await stores(CAST, JOBS, held_collection(group)), expected) == expected
    await publisher.stop()


def _forget(address, group):
    """Delete the group with its offsets, as an operator does who wants everything to come again."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.delete_consumer_groups([group])[group].result(timeout=PATIENCE_S)


def _ready(who, version):
    message = characters.CharacterReady(character=Character(id=who, name=who, version=version))
    return event("continuity.character.v1", who, message)


async def _projection(connection, group, documents, expected):
    """Return the cast that a group learns which has handled nothing yet."""
    bus = EventBus(connection, group)
    relay = Relay(documents, [CAST, JOBS], bus)
    cast = StoredCast(Aggregates(CastEntry, CAST, documents, CODEC, relay))
    jobs = StoredJobs(Aggregates(Job, JOBS, documents, CODEC, relay))
    freeze = FreezeCast(cast, jobs, SystemClock())
    wanted = subscriptions(freeze, None, load_topics())
    Consumer(bus, wanted, HeldEvents(documents, group), NoCheckpoints())
    await bus.start()
    found = {}
    async with asyncio.timeout(PATIENCE_S):
        while found != expected:
            page = await documents.page(CAST, project="film", limit=500)
            found = {
                each.id: (each.body["version"], each.body["deleted"]) for each in page.documents if each.id in expected
            }
            await asyncio.sleep(0.05)
    await bus.stop()
    return found


async def test_a_record_of_ten_megabytes_is_put_aside_cut_and_blocks_nothing(kafka, stores, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    await admin.create_topics([NewTopic(topic.name, 1, 1, topic_configs={"max.message.bytes": "12000000"})])
    await admin.create_topics([NewTopic(topic.dead_letter, 1, 1)])
    await admin.close()
    documents = await stores(held_collection("screening"))
    bus = EventBus(KafkaConnection(kafka.address), "screening")
    seen = []

    async def handle(project, message):
        seen.append(message.version)

    held = HeldEvents(documents, "screening")
    consumer = Consumer(bus, [Subscription(topic, {characters.CharacterDeleted: handle})], held, NoCheckpoints())
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address, max_request_size=12_000_000)
    await producer.start()
    await producer.send_and_wait(topic.name, b"x" * 10_000_000, key=b"a")
    await producer.stop()
    await bus.start()
    await bus.connected()
    async with running(consumer.retries.run):
        await bus.publish([event(topic.name, "a", characters.CharacterDeleted(character_id="a", version=2))])
        await until(lambda: seen == [2])
        async with asyncio.timeout(PATIENCE_S):
            while not (letters := (await held.list())[0]) or letters[0].due_time is not None:
                await asyncio.sleep(0.02)
    await bus.stop()
    assert (len(letters), letters[0].cut, len(letters[0].record.value)) == (1, True, 1_000_000)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_topic_that_the_broker_compresses_is_read(kafka, topic, codec):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    await admin.create_topics([NewTopic(topic.name, 1, 1, topic_configs={"compression.type": codec})])
    await admin.close()
    seen = []

    async def take(records):
        seen.extend(record.event().id for record in records)

    bus = EventBus(KafkaConnection(kafka.address), "screening")
    bus.subscribe([topic.name], take, 10)
    told = event(topic.name, "a", characters.CharacterDeleted(character_id="a" * 2_000, version=1))
    await bus.start()
    await bus.connected()
    await bus.publish([told])
    await until(lambda: seen == [told.id])
    await bus.stop()


async def test_a_topic_that_is_missing_holds_up_no_others_events_and_is_named(kafka, topic):
    connection = KafkaConnection(kafka.address)
    bus = EventBus(connection, "cutting", partial(ensure_topics, connection, broker_topics({topic.name: topic})))
    await bus.start()
    await bus.connected()
    message = characters.CharacterDeleted(character_id="a", version=1)
    outcomes = await bus.publish_each([[event("test.nowhere.v1", "a", message)], [event(topic.name, "a", message)]])
    await bus.stop()
    assert [outcome.count for outcome in outcomes] == [0, 1]
    assert isinstance(outcomes[0].error, TopicMissing)
    assert "test.nowhere.v1" in str(outcomes[0].error)


async def test_a_topic_that_is_deleted_under_way_is_named_made_again_and_its_events_had_waited(
    kafka, stores, topic, caplog
):
    connection = KafkaConnection(kafka.address)
    documents = await stores(REELS, held_collection("screening"))
    bus = EventBus(connection, "screening", partial(ensure_topics, connection, broker_topics({topic.name: topic})))
    seen = []

    async def handle(project, message):
        seen.append((message.character_id, message.version))

    Consumer(
        bus,
        [Subscription(topic, {characters.CharacterDeleted: handle})],
        HeldEvents(documents, "screening"),
        NoCheckpoints(),
    )
    relay = Relay(documents, [REELS], bus)
    await bus.start()
    async with running(relay.run):
        for key in KEYS:
            await tell(documents, relay, topic, key, 1)
        await until(lambda: len(seen) == len(KEYS))
        caplog.clear()
        await asyncio.to_thread(remove, kafka.address, topic.name)
        with pytest.raises(TopicMissing, match=topic.name):
            await checked(bus)
        for version in range(2, 6):
            for key in KEYS:
                await tell(documents, relay, topic, key, version)
        await until(lambda: {(key, 5) for key in KEYS} <= set(seen))
        await bus.check()
    await bus.stop()
    for key in KEYS:
        mine = list(dict.fromkeys(version for whose, version in seen if whose == key))
        assert mine == list(range(1, 6))
    assert f"topic {topic.name} does not exist" in caplog.text
    assert "does not answer" not in caplog.text


async def test_a_topic_that_may_not_be_made_again_holds_up_no_others_events_and_is_named(kafka, stores, topic, caplog):
    other = replace(topic, name=f"{topic.name}.other", dead_letter="")
    connection = KafkaConnection(kafka.address)
    await ensure_topics(connection, {topic.name: topic, other.name: other})

    async def may_not() -> None:
        if topic.name not in await asyncio.to_thread(names, kafka.address):
            raise TopicDenied(topic.name, "not allowed")

    documents = await stores(REELS, held_collection("screening"))
    bus = EventBus(connection, "screening", may_not)
    seen = []

    async def handle(project, message):
        seen.append((message.character_id, message.version))

    wanted = [Subscription(each, {characters.CharacterDeleted: handle}) for each in (topic, other)]
    Consumer(bus, wanted, HeldEvents(documents, "screening"), NoCheckpoints())
    relay = Relay(documents, [REELS], bus)
    await bus.start()
    async with running(relay.run):
        for place, each in enumerate((topic, other)):
            await tell(documents, relay, each, KEYS[place], 1)
        await until(lambda: len(seen) == 2)
        await asyncio.to_thread(remove, kafka.address, topic.name)
        with pytest.raises(TopicMissing, match=topic.name):
            await checked(bus)
        await tell(documents, relay, topic, "a", 2)
        await tell(documents, relay, other, "b", 2)
        await until(lambda: ("b", 2) in seen)
        await until(lambda: f"events of screening wait: topic {topic.name} does not exist" in caplog.text)
        await until(lambda: "may not create it" in caplog.text)
        await ensure_topics(connection, {topic.name: topic})
        await until(lambda: ("a", 2) in seen)
    await bus.stop()


async def checked(bus: EventBus) -> None:
    """Check the broker until something is amiss."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await bus.check()
            await asyncio.sleep(0.02)


async def test_a_service_starts_while_its_broker_is_away_and_consumes_once_it_is_there(tmp_path, topic):
    from deploy.local.servers.kafka import Kafka

    broker = Kafka(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(broker.stop)
    connection = KafkaConnection(broker.address)
    bus = EventBus(connection, "screening", partial(ensure_topics, connection, broker_topics({topic.name: topic})))
    seen = []

    async def take(records):
        seen.extend(records)

    bus.subscribe([topic.name], take, 10)
    await bus.start()
    await asyncio.to_thread(broker.restart)
    async with asyncio.timeout(PATIENCE_S):
        await bus.connected()
    await bus.publish([event(topic.name, "a", characters.CharacterDeleted(character_id="a", version=1))])
    await until(lambda: len(seen) == 1)
    await bus.stop()
    await asyncio.to_thread(broker.stop)
