"""From a document's outbox over the broker into another document: in order, at least once, applied once."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from continuity.api.events.v1 import character_events_pb2 as pb
from continuity.documents import Collection, Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import Change
from continuity.messaging.bus import EventBus
from continuity.messaging.codec import EventCodec, Publication
from continuity.messaging.connection import BrokerUnavailable, KafkaConnection
from continuity.messaging.embedded_broker import EMBEDDED_FETCH_WAIT_S, EmbeddedBroker
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates

pytestmark = pytest.mark.asyncio(loop_scope="module")

REELS = Collection("reels")


@dataclass(frozen=True)
class Reel:
    id: str
    cuts: int = 0


@dataclass(frozen=True)
class CharacterDeleted:
    """The event of these tests: a reel was cut so many times."""

    character_id: str
    version: int


class Tomorrow:
    """A clock by which every lease has lapsed."""

    def now(self):
        return 4e9


class SettlesNothing(SqliteDocuments):
    """A store whose relay never gets to settle what it has published."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.published = asyncio.Event()

    async def settle(self, published):
        self.published.set()
        await asyncio.Event().wait()


def cut(reel):
    changed = replace(reel, cuts=reel.cuts + 1)
    return Change(changed, [CharacterDeleted(reel.id, changed.cuts)])


def codec_for(lane):
    return EventCodec(
        "cutting", {CharacterDeleted: Publication(lane.topic.name, pb.CharacterDeleted, lambda e: e.character_id)}
    )


@pytest_asyncio.fixture(loop_scope="module")
async def documents(tmp_path):
    store = await SqliteDocuments(tmp_path / "documents.sqlite3", [REELS]).open()
    yield store
    await store.close()


@asynccontextmanager
async def running(relay):
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_relay_publishes_everything_in_order_within_each_aggregate(lane, documents):
    relay = Relay(documents, [REELS], lane.bus)
    reels = Aggregates(Reel, REELS, documents, codec_for(lane), relay)

    async def cut_often(id):
        await reels.add("default", id, Change(Reel(id)))
        for _ in range(20):
            await reels.change("default", id, cut)

    async with running(relay):
        await asyncio.gather(*(cut_often(f"reel-{number}") for number in range(6)))
        await lane.until(lambda: len({(m.character_id, m.version) for m in lane.done}) == 120)
    for number in range(6):
        mine = [message.version for message in lane.done if message.character_id == f"reel-{number}"]
        assert list(dict.fromkeys(mine)) == list(range(1, 21))
        assert mine == sorted(mine), "at least once, but never an older one after a newer one"
    assert await documents.due_outboxes([REELS], 4e9, 4e9, "me", 10) == ()


async def test_a_relay_that_dies_before_it_settles_leads_to_a_second_delivery_that_is_applied_once(lane, tmp_path):
    dying = await SettlesNothing(tmp_path / "documents.sqlite3", [REELS]).open()
    relay = Relay(dying, [REELS], lane.bus)
    reels = Aggregates(Reel, REELS, dying, codec_for(lane), relay)
    copies = Aggregates(Reel, REELS, dying, codec_for(lane), relay)
    await copies.add("default", "copy", Change(Reel("copy")))

    async def apply(project, message):
        await copies.change(project, "copy", lambda reel: Change(replace(reel, cuts=reel.cuts + message.version)))

    lane.handle = apply
    async with running(relay):
        await reels.add("default", "reel", Change(Reel("reel"), [CharacterDeleted("reel", 5)]))
        await dying.published.wait()
    survivor = await SqliteDocuments(tmp_path / "documents.sqlite3", [REELS]).open()
    async with running(Relay(survivor, [REELS], lane.bus, clock=Tomorrow())):
        await lane.until(lambda: len(lane.done) == 2)
    assert lane.causes[0].key == lane.causes[1].key
    assert (await copies.get("default", "copy")).cuts == 5
    for store in (survivor, dying):
        await store.close()


async def test_what_is_published_again_from_the_log_is_applied_once(lane, new_bus, documents):
    relay = Relay(documents, [REELS], lane.bus)
    reels = Aggregates(Reel, REELS, documents, codec_for(lane), relay)
    await reels.add("default", "copy", Change(Reel("copy")))

    async def apply(project, message):
        await reels.change(project, "copy", lambda reel: Change(replace(reel, cuts=reel.cuts + message.version)))

    lane.handle = apply
    await reels.add("default", "reel", Change(Reel("reel"), [CharacterDeleted("reel", 5)]))
    waiting = await documents.outbox(Ref("reels", "default", "reel"))
    another = new_bus("embedded")
    await another.start()
    await another.connected()
    for bus in (lane.bus, another):
        await bus.publish(waiting)
    await lane.until(lambda: len(lane.done) == 2)
    await another.stop()
    assert (await reels.get("default", "copy")).cuts == 5


async def test_an_event_that_follows_from_another_says_so(lanes, lane, documents, event):
    effects = lanes.pop()
    relay = Relay(documents, [REELS], lane.bus)
    reels = Aggregates(Reel, REELS, documents, codec_for(effects), relay)
    await reels.add("default", "reel", Change(Reel("reel")))

    async def react(project, message):
        await reels.change(project, "reel", cut)

    lane.handle = react
    first = event(headers={"correlationid": "the call", "traceparent": "00-ab-cd-01"})
    async with running(relay):
        await lane.publish(first)
        await effects.until(lambda: effects.done)
    (effect,) = effects.causes
    assert effect.correlation_id == "the call"
    assert effect.extensions["causationid"] == first.id
    assert effect.extensions["traceparent"] == "00-ab-cd-01"
    assert (effect.source, effect.subject, effect.project) == ("continuity/cutting", "reel", "default")


async def test_listeners_without_a_group_all_hear_what_comes_from_now_on(lane, new_bus, event):
    await lane.publish(event(version=1))
    heard = [asyncio.Queue() for _ in range(2)]
    listeners = [new_bus("replica") for _ in heard]
    for bus, queue in zip(listeners, heard, strict=True):

        async def hear(records, queue=queue):
            for record in records:
                queue.put_nowait(pb.CharacterDeleted.FromString(record.event().payload).version)

        bus.listen(lane.topic.name, hear)
        await bus.start()
        await bus.connected()
    await lane.publish(event(version=2))
    async with asyncio.timeout(20):
        assert [await queue.get() for queue in heard] == [2, 2]
    assert all(queue.empty() for queue in heard)
    for bus in listeners:
        await bus.stop()


async def test_one_refused_event_holds_up_no_other_outbox_and_nothing_behind_it_is_published(lane, event):
    nowhere = event("lost", topic="continuity.nowhere.v1", headers={"traceparent": "x" * 1_100_000})
    outcomes = await lane.bus.publish_each([[event("a", 1)], [event("b", 1), nowhere, event("b", 2)], [event("c", 1)]])
    assert [(outcome.count, outcome.error is None) for outcome in outcomes] == [(1, True), (1, False), (1, True)]
    await lane.until(lambda: len(lane.done) == 3)
    assert {(message.character_id, message.version) for message in lane.done} == {("a", 1), ("b", 1), ("c", 1)}


async def test_a_batch_that_breaks_its_handling_begins_again_before_it_is_acknowledged(lane, event, monkeypatch):
    broken = iter([True, True, False])
    last_in = lane.held.last_in

    async def breaks(lanes):
        if lane.done == [] and next(broken, False):
            raise ZeroDivisionError
        return await last_in(lanes)

    monkeypatch.setattr("continuity.messaging.bus.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane.held, "last_in", breaks)
    await lane.publish(event())
    await lane.until(lambda: lane.done)


async def acknowledged(broker, lane, group):
    """Return how many records of the lane its group has acknowledged."""
    partitions = [TopicPartition(lane.topic.name, number) for number in range(2)]
    asking = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=group, enable_auto_commit=False)
    asking.assign(partitions)
    await asking.start()
    try:
        return sum([await asking.committed(each) or 0 for each in partitions])
    finally:
        await asking.stop()


async def test_what_a_broker_that_was_away_could_not_be_told_is_acknowledged_though_nothing_follows(
    broker, lane, event, monkeypatch
):
    away, commit, told = iter([True] * 3), AIOKafkaConsumer.commit, asyncio.Event()

    async def often_away(consumer, *offsets):
        if next(away, False):
            raise KafkaConnectionError
        await commit(consumer, *offsets)
        told.set()

    monkeypatch.setattr("continuity.messaging.acknowledging.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(AIOKafkaConsumer, "commit", often_away)
    await lane.publish(event())
    async with asyncio.timeout(20):
        await told.wait()
    assert len(lane.done) == await acknowledged(broker, lane, "screening") == 1


@pytest.fixture
def short_sessions(broker, monkeypatch):
    """For who joins a group that somebody has left: the embedded broker has it wait for nearly a session."""
    made = AIOKafkaConsumer.__init__
    embedded = broker.fetch_wait_s == EMBEDDED_FETCH_WAIT_S  # a real one takes no session as short as this
    brief = {"session_timeout_ms": 3_000, "heartbeat_interval_ms": 500} if embedded else {}
    monkeypatch.setattr(AIOKafkaConsumer, "__init__", lambda *names, **options: made(*names, **(options | brief)))


@pytest.mark.usefixtures("short_sessions")
async def test_a_consumer_that_ends_amid_a_batch_gets_it_again(lane, new_bus, event, monkeypatch):
    monkeypatch.setattr("continuity.messaging.bus.DRAIN_S", 0.1)
    begun, again = asyncio.Event(), asyncio.Queue()

    async def never_ends(records):
        begun.set()
        await asyncio.Event().wait()

    async def take(records):
        for record in records:
            again.put_nowait(record.event().id)

    first, second = (new_bus("mortal") for _ in range(2))
    first.subscribe([lane.topic.name], never_ends, 10)
    second.subscribe([lane.topic.name], take, 10)
    await first.start()
    sent = [event("a", 1), event("b", 1), event("a", 2)]
    await lane.publish(*sent)
    async with asyncio.timeout(20):
        await begun.wait()
        await first.stop()
        await second.start()
        assert {await again.get() for _ in sent} == {each.id for each in sent}
    await second.stop()


@pytest.mark.usefixtures("short_sessions")
async def test_a_batch_that_is_being_handled_is_finished_and_acknowledged_when_consuming_stops(lane, new_bus, event):
    begun, go_on, handled, again = asyncio.Event(), asyncio.Event(), [], asyncio.Event()

    async def slowly(records):
        begun.set()
        await go_on.wait()
        handled.extend(record.event().id for record in records)

    async def take(records):
        handled.extend(record.event().id for record in records)
        again.set()

    first, second = (new_bus("graceful") for _ in range(2))
    first.subscribe([lane.topic.name], slowly, 10)
    second.subscribe([lane.topic.name], take, 10)
    await first.start()
    await lane.publish(event("a", 1))
    async with asyncio.timeout(30):
        await begun.wait()
        stopping = asyncio.create_task(first.stop_consuming())
        go_on.set()
        await stopping
        await first.publish([event("a", 2)])
        await first.stop()
        await second.start()
        await again.wait()
    assert len(handled) == len(set(handled)) == 2
    await second.stop()


async def test_a_broker_that_went_away_is_unavailable_and_not_waited_for(monkeypatch, lane, event):
    mortal = EmbeddedBroker()
    await mortal.create([lane.topic.name])
    bus = EventBus(KafkaConnection(mortal.bootstrap_servers), "orphan")
    with pytest.raises(BrokerUnavailable):
        await bus.publish([event()])
    await bus.start()
    await bus.connected()
    await bus.publish([event()])
    await bus.check()
    mortal.close()
    for limit in ("PUBLISH", "NEW_TOPIC", "PING", "STOP"):
        monkeypatch.setattr(f"continuity.messaging.bus.{limit}_TIMEOUT_S", 0.2)
    with pytest.raises(BrokerUnavailable):
        await bus.publish([event()])
    with pytest.raises(BrokerUnavailable):
        await bus.post([event(topic="continuity.elsewhere.v1")])
    with pytest.raises(BrokerUnavailable):
        await bus.publish_raw(lane.topic.dead_letter, None, b"x", {})
    with pytest.raises(BrokerUnavailable):
        await bus.check()
    async with asyncio.timeout(20):
        await bus.stop()


async def test_a_bus_whose_broker_is_away_starts_at_once_and_connects_when_it_is_there(lane, event, monkeypatch):
    monkeypatch.setattr("continuity.messaging.bus.FIRST_PAUSE_S", 0.01)
    asked = asyncio.Event()
    there = EmbeddedBroker()
    await there.create([lane.topic.name])
    away = [True]

    async def prepare():
        asked.set()
        if away:
            raise BrokerUnavailable

    bus = EventBus(KafkaConnection(there.bootstrap_servers), "early", prepare)
    await bus.start()
    await asked.wait()
    with pytest.raises(BrokerUnavailable):
        await bus.check()
    away.clear()
    await bus.connected()
    await bus.publish([event()])
    await bus.stop()
    there.close()
