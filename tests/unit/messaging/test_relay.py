"""When the relay publishes, when it waits, and what it takes over from others."""

import asyncio
import time

import pytest

from continuity.api.events.v1.character_events_pb2 import CharacterIngested
from continuity.documents import DocumentsUnavailable, Ref
from continuity.kernel.values import Change
from continuity.messaging import relay as relay_module
from continuity.messaging.relay import BACKLOG_LIMIT, Relay
from continuity.messaging.repository import Aggregates

AFTER_EVERY_LEASE = 4e9


@pytest.fixture
def clock(clock):
    """Stand where the writers' clock does; ``time = 4e9`` is after every lease's end."""
    clock.time = time.time()
    return clock


def versions(bus, id="a"):
    return [CharacterIngested.FromString(event.payload).version for event in bus.published if event.key == id]


async def test_a_nudge_publishes_at_once_and_clears_the_outbox(
    relay, reels, bus, documents, running, new_reel, reel_cut
):
    async with running(relay):
        await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
        await bus.until(lambda: bus.published)
        await emptied(documents)
    assert versions(bus) == [1]


async def emptied(documents, id="a"):
    ref = Ref("reels", "default", id)
    async with asyncio.timeout(10):
        while await documents.outbox(ref):
            await asyncio.sleep(0)


async def test_outboxes_of_a_writer_that_died_are_taken_over_when_their_time_has_come(
    relay, reels, bus, clock, documents, collection, codec, running, new_reel, reel_cut
):
    dead = Aggregates(new_reel, collection, documents, codec, Relay(documents, [collection], bus))
    await dead.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
    await dead.add("other", "b", Change(new_reel("b"), [reel_cut("b", 1)]))
    async with running(relay):
        await reels.add("default", "mine", Change(new_reel("mine"), [reel_cut("mine", 1)]))
        await bus.until(lambda: bus.published)
        assert versions(bus) == [], "its time has not come"
        clock.time = AFTER_EVERY_LEASE
        await bus.until(lambda: len(bus.published) == 3)
        await emptied(documents)
    assert {event.project for event in bus.published if event.key == "b"} == {"other"}


async def test_an_outbox_that_was_written_under_a_clock_that_was_ahead_does_not_wait_for_that_clock(
    relay, bus, clock, documents, collection, codec, running, new_reel, reel_cut
):
    dead = Aggregates(new_reel, collection, documents, codec, Relay(documents, [collection], bus))
    await dead.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
    clock.time -= 2 * 86_400.0
    async with running(relay):
        await bus.until(lambda: bus.published)
        await emptied(documents)
    assert versions(bus) == [1]


async def test_outboxes_are_taken_over_however_many_nudges_come(
    relay, bus, clock, documents, collection, codec, running, new_reel, reel_cut
):
    dead = Aggregates(new_reel, collection, documents, codec, Relay(documents, [collection], bus))
    await dead.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
    clock.time = AFTER_EVERY_LEASE

    async def nudge_without_end():
        while True:
            relay.nudge(Ref("reels", "default", "nobody"))
            await asyncio.sleep(0)

    nudging = asyncio.create_task(nudge_without_end())
    async with running(relay):
        await bus.until(lambda: bus.published)
    nudging.cancel()
    assert versions(bus) == [1]


async def test_two_sweepers_share_the_work(bus, clock, documents, collection, codec, running, new_reel, reel_cut):
    dead = Aggregates(new_reel, collection, documents, codec, Relay(documents, [collection], bus))
    for number in range(30):
        await dead.add("default", f"r{number}", Change(new_reel(f"r{number}"), [reel_cut(f"r{number}", 1)]))
    clock.time = AFTER_EVERY_LEASE
    sweepers = [Relay(documents, [collection], bus, clock=clock) for _ in range(2)]
    async with running(sweepers[0]), running(sweepers[1]):
        await bus.until(lambda: len(bus.published) >= 30)
        await emptied(documents, "r29")
    assert sorted(event.key for event in bus.published) == sorted(f"r{number}" for number in range(30))


async def test_events_wait_for_a_broker_that_is_away_and_leave_in_order_when_it_is_back(
    relay, reels, bus, clock, documents, running, new_reel, cutting
):
    bus.away = True
    async with running(relay):
        await reels.add("default", "a", Change(new_reel("a")))
        await reels.change("default", "a", cutting)
        await bus.until(lambda: bus.refused)
        await reels.change("default", "a", cutting)
        assert len(await documents.outbox(Ref("reels", "default", "a"))) == 2
        bus.away = False
        clock.time = AFTER_EVERY_LEASE
        await bus.until(lambda: len(bus.published) >= 2)
        await emptied(documents)
    assert list(dict.fromkeys(versions(bus))) == [1, 2]


async def test_nothing_is_published_while_consumers_lag_and_everything_after(
    bus, clock, documents, collection, codec, running, new_reel, reel_cut
):
    asked = asyncio.Event()
    lag = BACKLOG_LIMIT + 1

    async def backlog():
        asked.set()
        return lag

    relay = Relay(documents, [collection], bus, backlog, clock)
    reels = Aggregates(new_reel, collection, documents, codec, relay)
    async with running(relay):
        await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
        for _ in range(3):
            asked.clear()
            clock.time += AFTER_EVERY_LEASE
            await asked.wait()
        assert bus.published == []
        lag = BACKLOG_LIMIT
        clock.time += AFTER_EVERY_LEASE
        await bus.until(lambda: bus.published)
        await emptied(documents)


async def test_more_nudges_than_fit_are_left_to_the_sweep(
    monkeypatch, bus, clock, documents, collection, codec, running, new_reel, reel_cut
):
    monkeypatch.setattr(relay_module, "IN_HAND_LIMIT", 2)
    relay = Relay(documents, [collection], bus, clock=clock)
    reels = Aggregates(new_reel, collection, documents, codec, relay)
    for number in range(5):
        await reels.add("default", f"r{number}", Change(new_reel(f"r{number}"), [reel_cut(f"r{number}", 1)]))
    async with running(relay):
        await bus.until(lambda: len(bus.published) == 2)
        clock.time = AFTER_EVERY_LEASE
        await bus.until(lambda: len({event.key for event in bus.published}) == 5)


async def test_a_store_that_is_away_for_a_moment_does_not_end_the_relay(
    relay, reels, bus, documents, running, new_reel, reel_cut, monkeypatch
):
    away = asyncio.Event()
    outboxes = documents.outboxes

    async def fails_once(refs, owner):
        if away.is_set():
            return await outboxes(refs, owner)
        away.set()
        raise DocumentsUnavailable(cause="a full disk")

    monkeypatch.setattr(documents, "outboxes", fails_once)
    async with running(relay):
        await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
        await bus.until(lambda: bus.published)  # nobody nudges again, and no lease lapses
    assert away.is_set()


async def test_a_relay_that_is_stopped_publishes_what_it_has_in_hand(
    relay, reels, bus, documents, new_reel, reel_cut, monkeypatch
):
    publishing, go_on, publish_each = asyncio.Event(), asyncio.Event(), bus.publish_each

    async def slowly(outboxes):
        publishing.set()
        await go_on.wait()
        return await publish_each(outboxes)

    monkeypatch.setattr(bus, "publish_each", slowly)
    monkeypatch.setattr(relay_module, "DRAIN_S", 10.0)
    working = asyncio.create_task(relay.run())
    await reels.add("default", "r0", Change(new_reel("r0"), [reel_cut("r0", 1)]))
    await publishing.wait()
    for name in ("r1", "r2"):
        await reels.add("default", name, Change(new_reel(name), [reel_cut(name, 1)]))
    working.cancel()
    go_on.set()
    await asyncio.gather(working, return_exceptions=True)
    assert [event.key for event in bus.published] == ["r0", "r1", "r2"]
    for name in ("r0", "r1", "r2"):
        assert await documents.outbox(Ref("reels", "default", name)) == ()


async def test_a_nudge_for_what_has_nothing_to_say_publishes_nothing(relay, reels, bus, running, new_reel, reel_cut):
    async with running(relay):
        await reels.add("default", "quiet", Change(new_reel("quiet")))
        relay.nudge(Ref("reels", "default", "quiet"))
        relay.nudge(Ref("reels", "default", "gone"))
        await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
        await bus.until(lambda: bus.published)
    assert {event.key for event in bus.published} == {"a"}


async def test_what_waits_beyond_every_lease_in_the_hands_of_a_living_relay_is_published_once(
    relay, reels, bus, clock, documents, running, new_reel, reel_cut
):
    bus.away = True
    clock.time = AFTER_EVERY_LEASE
    names = [f"reel-{number}" for number in range(40)]
    async with running(relay):
        await asyncio.gather(
            *(reels.add("default", name, Change(new_reel(name), [reel_cut(name, 1)])) for name in names)
        )
        for round_ in range(1, 4):
            await bus.until(lambda limit=bus.refused + 80: bus.refused >= limit)
            clock.time = AFTER_EVERY_LEASE + 100.0 * round_
        bus.away = False
        for name in names:
            await emptied(documents, name)
    assert sorted(event.key for event in bus.published) == sorted(names)
