"""Several replicas on one store: claims, order, lapsed claims, clocks that jump, and limits."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.errors import Conflict, Unavailable, WrongState
from continuity.kernel.ids import new_id
from continuity.messaging import held_events as held_module
from continuity.messaging import retries as retries_module
from continuity.messaging.checkpoints import NoCheckpoints
from continuity.messaging.claimed import CLAIM_S
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.handling import Failed, Handling
from continuity.messaging.held_event import DEAD, WAITING
from continuity.messaging.held_events import HeldEventMissing, HeldEvents, held_collection
from continuity.messaging.record import Record
from continuity.messaging.retries import Retries
from continuity.messaging.topics import Topic

TOPIC = Topic("continuity.reel.v1", "test", "id", 4, None, ("cutting",), (), "continuity.reel.v1.dead", outbox=True)


def record(key="a", version=1, offset=0, id=None):
    told = {
        "ce_specversion": "1.0",
        "ce_id": id or new_id(),
        "ce_source": "continuity/test",
        "ce_type": "film.continuity.CharacterDeleted",
        "ce_subject": key,
        "ce_project": "default",
    }
    payload = CharacterDeleted(character_id=key, version=version).SerializeToString()
    wire = tuple((name, value.encode()) for name, value in told.items())
    return Record(TOPIC.name, 0, offset, key.encode(), wire, payload)


AWAY = Failed.by(Unavailable())
HOPELESS = Failed.by(WrongState())


@pytest_asyncio.fixture
async def documents(tmp_path):
    store = await SqliteDocuments(tmp_path / "held.sqlite3", [held_collection("cutting")]).open()
    yield store
    await store.close()


@pytest.fixture
def held(documents, clock):
    return HeldEvents(documents, "cutting", clock)


@asynccontextmanager
async def working(*retries):
    tasks = [asyncio.create_task(each.run()) for each in retries]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _polling_often(monkeypatch):
    monkeypatch.setattr(retries_module, "POLL_S", 0.01)


async def test_an_event_is_claimed_by_one_at_a_time_and_a_claim_of_the_dead_lapses(held, documents, clock):
    await held.hold(record(), AWAY)
    clock.time = 10.0
    others = [HeldEvents(documents, "cutting", clock) for _ in range(8)]
    claims = [claim for claim in await asyncio.gather(*(each.claim() for each in others)) if claim]
    assert len(claims) == 1
    clock.time += CLAIM_S - 1
    assert await held.claim() is None
    clock.time += 1
    taken_over = await held.claim()
    assert taken_over is not None
    assert not await claims[0].save(due_time=0.0), "who comes back from the dead writes nothing"
    assert await taken_over.save(due_time=None)


async def test_a_renewal_that_was_written_though_it_was_cancelled_does_not_lose_the_claim(held, documents, clock):
    await held.hold(record(), AWAY)
    clock.time = 10.0
    mine = await held.claim()
    behind_my_back = await documents.get(held_collection("cutting"), "held", mine.held.id)
    await documents.replace(held_collection("cutting"), behind_my_back)
    assert await mine.save(told=True)
    assert (await held.get(mine.held.id)).told


async def test_two_replicas_retry_everything_once_and_in_order(held, documents, clock, bus):
    seen = []

    async def handle(project, message):
        seen.append((message.character_id, message.version))
        await asyncio.sleep(0)

    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    for number in range(10):
        key = f"reel-{number}"
        last = (await held.hold(record(key, 1), AWAY)).sequence
        for version in (2, 3, 4):
            last = (await held.hold_behind(record(key, version), last)).sequence
    clock.time = 3.0
    replicas = [HeldEvents(documents, "cutting", clock) for _ in range(2)]
    async with working(*(Retries(bus, each, handling, clock) for each in replicas)):
        await until(lambda: _none(held))
    assert len(seen) == 40
    for number in range(10):
        assert [version for key, version in seen if key == f"reel-{number}"] == [1, 2, 3, 4]


async def _none(held):
    return (await held.list(WAITING))[0] == []


async def test_a_lane_goes_on_though_the_process_ended_between_two_of_its_events(held, clock, bus):
    seen = []

    async def handle(project, message):
        seen.append(message.version)

    first = await held.hold(record("a", 1), AWAY)
    await held.hold_behind(record("a", 2), first.sequence)
    clock.time = 100.0
    taken = await held.claim()
    await held._store.delete(taken.held.id)  # handled, and nobody told the next one
    async with working(
        Retries(bus, held, Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})]), clock)
    ):
        await until(lambda: _none(held))
    assert seen == [2]


async def test_a_dead_letter_waits_for_a_broker_that_is_away_and_the_aggregate_is_marked_once(held, clock, bus):
    marked = []

    async def mark(event, failure):
        marked.append((event.subject, failure.reason))

    async def handle(project, message):
        raise AssertionError

    bus.away = True
    await held.hold(record("reyes"), HOPELESS)
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle}, mark)])
    async with working(Retries(bus, held, handling, clock)):
        await until(lambda: _tried(held))
        bus.away = False
        clock.time = 1_000.0
        await bus.until(lambda: bus.raw)
        await until(lambda: _announced(held))
    ((topic, key, _, told),) = bus.raw
    assert (topic, key, told["dead-reason"]) == (TOPIC.dead_letter, b"reyes", "WRONG_STATE")
    assert marked == [("reyes", "WRONG_STATE")]


async def _tried(held):
    (letter,), _ = await held.list(DEAD)
    return letter.tries == 1


async def _announced(held):
    return all(each.due_time is None for each in (await held.list(DEAD))[0])


async def test_a_clock_that_had_jumped_ahead_leaves_no_event_waiting_for_it(held, documents, clock):
    clock.time = 3_600_000.0
    event = await held.hold(record(), AWAY)
    clock.time = 50.0
    assert await held.claim() is None
    await held.sweep()
    claimed = await held.claim()
    assert claimed.held.id == event.id
    assert claimed.held.hold_time == 50.0


async def test_the_oldest_dead_letters_go_when_there_are_too_many(held, clock, monkeypatch):
    monkeypatch.setattr(held_module, "DEAD_LIMIT", 3)
    for number in range(5):
        clock.time = float(number)
        await held.hold(record(f"reel-{number}"), HOPELESS)
        claimed = await held.claim()
        await claimed.save(due_time=None, claim="")
    await held.sweep()
    assert [each.hold_time for each in (await held.list())[0]] == [4.0, 3.0, 2.0]


async def test_dead_letters_come_in_pages_the_newest_first(held, clock):
    for number in range(5):
        clock.time = float(number)
        await held.hold(record(f"reel-{number}"), HOPELESS)
    first, token = await held.list(limit=3)
    rest, end = await held.list(limit=3, token=token)
    assert [each.hold_time for each in [*first, *rest]] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert end == ""


async def test_what_is_not_held_is_missing(held):
    for operation in (held.get, held.replay, held.drop):
        with pytest.raises(HeldEventMissing):
            await operation("nobody")


async def test_consuming_pauses_when_too_many_events_wait_and_goes_on_when_there_is_room(held, clock, bus, monkeypatch):
    monkeypatch.setattr(held_module, "HELD_LIMIT", 2)
    monkeypatch.setattr("continuity.messaging.consumer.FIRST_PAUSE_S", 0.001)

    async def handle(project, message):
        raise Conflict

    for key in ("a", "b"):
        await held.hold(record(key), AWAY)
    consumer = Consumer(bus, [Subscription(TOPIC, {CharacterDeleted: handle})], held, NoCheckpoints())
    asked = asyncio.Event()
    full = held.full

    async def is_full():
        asked.set()
        return await full()

    monkeypatch.setattr(held, "full", is_full)
    consuming = asyncio.create_task(consumer.consume([record("c")]))
    await asked.wait()
    assert not consuming.done()
    clock.time = 100.0
    await held.finish((await held.claim()).held)
    async with asyncio.timeout(10):
        await consuming
    assert len((await held.list(WAITING))[0]) == 2


async def test_a_consumer_that_is_stopped_amid_a_retry_gives_it_back_at_once(held, clock, bus):
    begun = asyncio.Event()

    async def handle(project, message):
        begun.set()
        await asyncio.Event().wait()

    await held.hold(record(), AWAY)
    clock.time = 10.0
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        await begun.wait()
        assert await held.claim() is None
    assert await held.claim() is not None
