"""Several replicas on one store: claims, order, lapsed claims, clocks that jump, and limits."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import pytest_asyncio

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents import DocumentsUnavailable, VersionConflict
from continuity.kernel.errors import Conflict, Unavailable, WrongState
from continuity.kernel.ids import new_id
from continuity.messaging import held_events as held_module
from continuity.messaging import retries as retries_module
from continuity.messaging.checkpoints import NoCheckpoints
from continuity.messaging.claimed import CLAIM_S
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.handling import Failed, Handling
from continuity.messaging.held_event import DEAD, WAITING
from continuity.messaging.held_events import BEHIND_S, HeldEventMissing, HeldEvents, held_collection
from continuity.messaging.record import Record
from continuity.messaging.retries import Retries
from continuity.messaging.topics import Topic
from continuity.messaging.verdict import UNAVAILABLE_LIMIT_S

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
async def documents(open_documents):
    return await open_documents(held_collection("cutting"))


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


async def test_a_dead_letter_whose_time_a_clock_that_was_ahead_has_set_is_told_of_at_once(held, clock):
    await held.hold(record(), HOPELESS)
    clock.time = 3_600_000.0
    claimed = await held.claim()
    clock.time = 50.0
    assert await held.claim() is None
    await held.sweep()
    assert (await held.claim()).held.id == claimed.held.id
    assert not await claimed.save(told=True), "whoever had claimed it is told so"


async def test_a_replay_that_meets_the_sweep_is_not_lost(held, documents, clock, monkeypatch):
    monkeypatch.setattr(held_module, "DEAD_LIMIT", 0)
    event = await held.hold(record(), HOPELESS)
    await (await held.claim()).save(due_time=None, claim="")
    some = held._store.some

    async def then_it_is_replayed(*where, order, limit):
        found = await some(*where, order=order, limit=limit)
        if order == "hold_time":
            await HeldEvents(documents, "cutting", clock).replay(event.id)
        return found

    monkeypatch.setattr(held._store, "some", then_it_is_replayed)
    await held.sweep()
    assert (await held.get(event.id)).state == WAITING


async def test_a_replay_that_meets_a_drop_is_not_lost(held, documents, clock, monkeypatch):
    event = await held.hold(record(), HOPELESS)
    find = held._store.find

    async def then_it_is_replayed(id):
        found = await find(id)
        await HeldEvents(documents, "cutting", clock).replay(event.id)
        return found

    monkeypatch.setattr(held._store, "find", then_it_is_replayed)
    with pytest.raises(VersionConflict):
        await held.drop(event.id)
    monkeypatch.undo()
    assert (await held.get(event.id)).state == WAITING


async def test_what_an_older_version_wrote_without_newer_fields_is_read(held, documents):
    event = await held.hold(record(), AWAY)
    collection = held_collection("cutting")
    document = await documents.get(collection, "held", event.id)
    older = {name: value for name, value in document.body.items() if name not in {"tried_time", "cut", "told"}}
    await documents.replace(collection, replace(document, body=older))
    assert await held.get(event.id) == replace(event, tried_time=None)


async def test_one_event_that_cannot_be_read_keeps_no_other_from_its_retry(held, documents, clock, bus, caplog):
    handled = []

    async def handle(project, message):
        handled.append(message.character_id)

    for key in ("a", "b"):
        await held.hold(record(key), AWAY)
        clock.time += 1.0
    collection = held_collection("cutting")
    unreadable = (await documents.page(collection, project="held", order=["due_time"])).documents[0]
    body = {name: value for name, value in unreadable.body.items() if name != "sequence"}
    await documents.replace(collection, replace(unreadable, body=body))
    clock.time = 10.0
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        await until(lambda: _done(handled, 1))
    assert handled == ["b"]
    assert "could not be taken" in caplog.text


async def _done(done, count):
    return len(done) == count


async def test_an_event_that_the_store_refuses_though_it_answers_is_tried_less_and_less_and_given_up(held, clock, bus):
    tries = []

    async def handle(project, message):
        tries.append(message.character_id)
        raise DocumentsUnavailable(cause="something about this document")

    event = await held.hold(record(), Failed.by(DocumentsUnavailable(cause="something about this document")))
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        for tried in range(2, 9):
            clock.time = (await held.get(event.id)).due_time
            await until(lambda tried=tried: _tried_times(held, event.id, tried))
        waiting = await held.get(event.id)
        assert (waiting.state, waiting.attempts) == (WAITING, 0)
        clock.time += UNAVAILABLE_LIMIT_S
        await bus.until(lambda: bus.raw)
    assert (await held.get(event.id)).state == DEAD


async def _tried_times(held, id, tries):
    return (await held.get(id)).tries == tries


async def test_an_event_whose_retry_meets_a_store_that_is_away_is_not_judged(held, clock, bus, monkeypatch):
    asked = asyncio.Event()

    async def away():
        asked.set()
        raise DocumentsUnavailable(cause="a full disk")

    async def handle(project, message):
        await away()

    event = await held.hold(record(), AWAY)
    clock.time = 10.0
    monkeypatch.setattr(held, "check", away)
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        await asked.wait()
        await until(lambda: _is_due(held, event.id, 10.0 + retries_module.FIRST_DELAY_S))
    assert (await held.get(event.id)).tries == 1


async def _is_due(held, id, due_time):
    return (await held.get(id)).due_time == due_time


async def _none_due_before(held, time, but):
    return all(each.due_time > time for each in (await held.list("waiting", 500))[0] if each.id != but)


async def test_those_who_wait_behind_a_lanes_head_are_not_all_woken_with_it(held, clock, bus, monkeypatch):
    monkeypatch.setattr("continuity.messaging.verdict.full_jitter_s", lambda *_: 50.0)
    handled, claims, claim = [], [], held.claim

    async def handle(project, message):
        handled.append(message.version)
        if len(handled) == 1:
            raise Unavailable

    async def noted():
        claimed = await claim()
        claims.append(claimed and claimed.held.sequence)
        return claimed

    async def head_claimed():
        return 1 in claims and claims[-1] is None

    first = await held.hold(record("a", 1), AWAY)
    last = first.sequence
    for version in range(2, 30):
        last = (await held.hold_behind(record("a", version), last)).sequence
    monkeypatch.setattr(held, "claim", noted)
    clock.time = BEHIND_S
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        await until(lambda: _none_due_before(held, clock.time + 50.0, but=first.id))  # not one is being looked at
        claims.clear()
        clock.time += 50.0
        await until(lambda: _is_due(held, first.id, clock.time + 50.0))
        await until(head_claimed)
        assert set(claims) == {1, None}, "its own retry wakes nobody else"
        clock.time += 50.0
        await until(lambda: _none(held))
    assert handled == [1, *range(1, 30)]


async def test_an_event_that_was_claimed_when_its_turn_came_gets_it_all_the_same(held, documents, clock, bus):
    handled = []

    async def handle(project, message):
        handled.append(message.version)

    first = await held.hold(record("a", 1), AWAY)
    await held.hold_behind(record("a", 2), first.sequence)
    clock.time = BEHIND_S
    another = HeldEvents(documents, "cutting", clock)
    mine = await another.claim()
    assert mine.held.id == first.id
    retries = Retries(bus, held, Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})]), clock)
    first_in = held.first_in

    async def then_the_first_goes(lane):
        found = await first_in(lane)
        if found is not None and found.id == first.id:
            await another.finish(mine.held)  # and finds the second claimed
        return found

    held.first_in = then_the_first_goes
    async with working(retries):
        await until(lambda: _none(held))
    assert handled == [2]
    assert clock.time == BEHIND_S, "no time had to pass"


async def test_letters_that_cannot_be_told_of_are_bounded_too(held, monkeypatch):
    monkeypatch.setattr(held_module, "HELD_LIMIT", 3)
    await held.hold(record("a"), AWAY)
    for key in ("b", "c"):
        assert not await held.full()
        await held.hold(record(key), HOPELESS)
    assert await held.full()
    claimed = await held.claim()
    await claimed.save(due_time=None, claim="")
    assert not await held.full()


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
    async with asyncio.timeout(10):
        await asked.wait()
        asked.clear()
        await asked.wait()  # it asks again, for there was no room
    assert sorted(each.record.key for each in (await held.list(WAITING))[0]) == [b"a", b"b"], "nor is it held"
    clock.time = 100.0
    await held.finish((await held.claim()).held)
    async with asyncio.timeout(10):
        await consuming
    assert len((await held.list(WAITING))[0]) == 2


async def test_a_lane_that_breaks_leaves_no_other_at_work_when_the_batch_begins_again(held, bus, monkeypatch):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handle(project, message):
        if message.character_id == "b":
            await begun.wait()
            raise Conflict
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def breaks(record, failed):
        raise KeyError("unforeseen")

    monkeypatch.setattr(held, "hold", breaks)
    consumer = Consumer(bus, [Subscription(TOPIC, {CharacterDeleted: handle})], held, NoCheckpoints())
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(10):
            await consumer.consume([record("a"), record("b")])
    assert ended.is_set()


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


async def test_retries_have_a_budget_that_is_asked_before_each(held, clock, bus):
    handled, asked, granted = [], [], asyncio.Semaphore(0)

    async def handle(project, message):
        handled.append(message.character_id)

    class Budget:
        async def take(self):
            asked.append(1)
            await granted.acquire()

    for key in ("a", "b", "c"):
        await held.hold(record(key), AWAY)
    clock.time = 10.0
    retries = Retries(bus, held, Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})]), clock)
    retries._budget = Budget()
    async with working(retries):
        await until(lambda: _done(asked, 3))
        assert handled == []
        granted.release()
        await until(lambda: _done(handled, 1))
        granted.release()
        granted.release()
        await until(lambda: _none(held))


class Crowd:
    """Handlers that wait for each other; ``most`` tells how many were ever at work at once."""

    def __init__(self):
        self.now = self.most = 0
        self.full, self.go_on = asyncio.Event(), asyncio.Event()

    async def handle(self, project, message):
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self.expected:
            self.full.set()
        await self.go_on.wait()
        self.now -= 1


async def test_so_many_retries_go_side_by_side_and_no_more(held, clock, bus, monkeypatch):
    crowd = Crowd()
    crowd.expected = 16
    for number in range(20):
        await held.hold(record(f"reel-{number}"), AWAY)
    clock.time = 10.0
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: crowd.handle})])
    async with working(Retries(bus, held, handling, clock)):
        async with asyncio.timeout(10):
            await crowd.full.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        crowd.go_on.set()
        await until(lambda: _none(held))
    assert crowd.most == 16


async def test_so_many_lanes_of_a_batch_go_side_by_side_and_no_more(held, bus):
    crowd = Crowd()
    crowd.expected = 64
    consumer = Consumer(bus, [Subscription(TOPIC, {CharacterDeleted: crowd.handle})], held, NoCheckpoints())
    consuming = asyncio.create_task(consumer.consume([record(f"reel-{number}") for number in range(100)]))
    async with asyncio.timeout(10):
        await crowd.full.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        crowd.go_on.set()
        await consuming
    assert crowd.most == 64


async def test_a_claim_is_renewed_for_as_long_as_its_retry_lasts(held, documents, clock, bus, monkeypatch):
    monkeypatch.setattr(retries_module, "CLAIM_S", 0.03)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(project, message):
        begun.set()
        await go_on.wait()

    event = await held.hold(record(), AWAY)
    clock.time = 10.0
    handling = Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])
    async with working(Retries(bus, held, handling, clock)):
        await begun.wait()
        for clock.time in (1_000.0, 2_000.0):
            await until(lambda: _is_due(held, event.id, clock.time + 0.03))
        go_on.set()
        await until(lambda: _none(held))
