"""The log stands in for the memory that the embedded broker lacks."""

import pytest

from continuity.documents import Ref
from continuity.documents.sqlite import SqliteDocuments

REF = Ref("shots", "default", "a")


@pytest.fixture
def publish(store, shots, shot):
    async def write_and_settle(*events):
        await store.delete(shots, "default", "a")
        await store.insert(shots, shot("a"), events, "me")
        await store.settle({REF: [event.id for event in events]})

    return write_and_settle


async def pending_ids(store, **asked):
    return [logged.event.id for logged in await store.event_log.pending(**asked)]


async def test_a_settled_event_waits_for_every_group_of_its_topic(store, publish, event):
    await publish(event("e1"))
    assert await store.event_log.backlog() == 2
    await store.event_log.handled("rendering", ["e1"])
    assert await pending_ids(store) == ["e1"]
    await store.event_log.handled("gallery", ["e1"])
    assert await pending_ids(store) == []
    assert await store.event_log.backlog() == 0


async def test_the_newest_is_the_one_logged_last_whether_it_is_handled_or_not(store, publish, event):
    assert await store.event_log.newest() == 0
    await publish(event("e1"), event("e2"))
    _, last = await store.event_log.pending()
    for group in ("rendering", "gallery"):
        await store.event_log.handled(group, ["e1", "e2"])
    assert await store.event_log.newest() == last.seq


async def test_an_event_comes_out_of_the_log_as_it_went_in(store, publish, event):
    await publish(event("e1"))
    (logged,) = await store.event_log.pending()
    assert logged.event == event("e1")


async def test_an_event_that_was_not_settled_is_not_in_the_log(store, shots, shot, event):
    await store.insert(shots, shot("a"), [event("e1"), event("e2")], "me")
    await store.settle({REF: ["e2"]})
    assert await pending_ids(store) == ["e2"]


async def test_pending_events_come_in_the_order_of_publishing_and_in_pages(store, publish, event):
    await publish(*(event(f"e{number}") for number in range(5)))
    first = await store.event_log.pending(limit=2)
    rest = await store.event_log.pending(after=first[-1].seq)
    assert [logged.event.id for logged in (*first, *rest)] == ["e0", "e1", "e2", "e3", "e4"]


async def test_a_group_that_handles_before_the_publisher_has_logged_is_not_asked_again(store, publish, event):
    await store.event_log.handled("rendering", ["e1"])
    await publish(event("e1"))
    assert await store.event_log.backlog() == 1
    await store.event_log.handled("gallery", ["e1"])
    assert await pending_ids(store) == []


async def test_handling_twice_counts_once_and_leaves_nothing_behind(store, publish, event):
    await publish(event("e1"))
    for _ in range(2):
        await store.event_log.handled("rendering", ["e1"])
    await publish(event("e2"))
    assert await store.event_log.backlog() == 3


async def test_an_event_that_is_settled_twice_is_logged_once(store, publish, event):
    await publish(event("e1"))
    for group in ("rendering", "gallery"):
        await store.event_log.handled(group, ["e1"])
    await publish(event("e1"))
    assert await pending_ids(store) == []


async def test_a_topic_without_groups_leaves_nothing_outstanding(store, publish, event):
    await publish(event("e1", topic="continuity.render-progress.v1"))
    assert await store.event_log.backlog() == 0


async def test_the_log_is_there_after_opening_again(store, publish, event, path, shots):
    await publish(event("e1"))
    await store.close()
    again = await SqliteDocuments(path, [shots]).open()
    assert await pending_ids(again) == ["e1"]
    await again.close()
