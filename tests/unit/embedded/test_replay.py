"""Publishing again at the start what the broker forgot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from continuity.documents import Collection, Document, DocumentsBusy, OutgoingEvent, Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.errors import ContinuityError
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import EventRefused, Published
from services.embedded import replay
from services.embedded.replay import publish_again

SHOTS = Collection("shots")
TOPIC = "continuity.shot.v1"
GROUP = "rendering"
LIMIT_S = 20


class Broker:
    """Takes events and hands them to the one group; ``troubles`` are what the next attempts meet."""

    def __init__(self, store: SqliteDocuments) -> None:
        self.store = store
        self.taken: list[str] = []
        self.troubles: list[ContinuityError] = []
        self.refused = ""
        self.open = 0

    async def start(self) -> None:
        self.open += 1

    async def connected(self) -> None:
        return

    async def stop(self) -> None:
        self.open -= 1

    async def publish_each(self, outboxes: list[list[OutgoingEvent]]) -> list[Published]:
        if self.troubles:
            trouble = self.troubles.pop()
            return [Published(0, trouble) for _ in outboxes]
        return [await self._take(outbox) for outbox in outboxes]

    async def _take(self, outbox: list[OutgoingEvent]) -> Published:
        for place, event in enumerate(outbox):
            if event.id == self.refused:
                return Published(place, EventRefused(event.topic, "it is not liked"))
            self.taken.append(event.id)
            await self.store.event_log.handled(GROUP, [event.id])
        return Published(len(outbox))


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    opened = await SqliteDocuments(tmp_path / "documents.sqlite3", [SHOTS], {TOPIC: [GROUP]}).open()
    yield opened
    await opened.close()


@pytest.fixture
def broker(store: SqliteDocuments, monkeypatch: pytest.MonkeyPatch) -> Broker:
    monkeypatch.setattr("continuity.hosting.hosted.FIRST_RESTART_S", 0.01)
    monkeypatch.setattr(replay, "PATIENCE_S", 0.1)
    return Broker(store)


async def published(store: SqliteDocuments, *ids: str) -> None:
    """Let an earlier run have published events that nobody handled; the first letter is the key."""
    for id in ids:
        event = OutgoingEvent(id, "continuity/test", "ShotMoved", TOPIC, id[0], "default", 1.5, b"moved")
        await store.insert(SHOTS, Document("default", id, 0, {}), [event], "me")
        await store.settle({Ref("shots", "default", id): [id]})


async def replayed(store: SqliteDocuments, broker: Broker) -> None:
    async with asyncio.timeout(LIMIT_S):
        await publish_again(SimpleNamespace(documents=store, bus=lambda service: broker))


async def test_what_nobody_has_handled_is_published_in_the_order_of_its_keys(store, broker, monkeypatch):
    monkeypatch.setattr(replay, "BATCH", 2)
    await published(store, "a1", "b1", "a2", "b2", "a3")
    await store.event_log.handled(GROUP, ["b1"])
    await replayed(store, broker)
    assert sorted(broker.taken) == ["a1", "a2", "a3", "b2"]
    assert [id for id in broker.taken if id[0] == "a"] == ["a1", "a2", "a3"]
    assert broker.open == 0


@pytest.mark.parametrize("times", [1, 5])
async def test_it_goes_on_when_the_broker_has_hiccuped_and_says_so(times, store, broker, caplog):
    await published(store, "a1", "b1")
    broker.troubles = [BrokerUnavailable() for _ in range(times)]
    await replayed(store, broker)
    assert sorted(broker.taken) == ["a1", "b1"]
    assert caplog.text.count("embedded.replay waits and tries again") == 1
    assert broker.open == 0


@pytest.mark.parametrize("asked", ["pending", "newest"])
async def test_it_goes_on_when_the_store_was_busy_and_says_so(asked, store, broker, caplog, monkeypatch):
    await published(store, "a1")
    ask, busy = getattr(store.event_log, asked), [DocumentsBusy(1_000, 1_000)]

    async def sometimes(*arguments: int) -> object:
        if busy:
            raise busy.pop()
        return await ask(*arguments)

    monkeypatch.setattr(store.event_log, asked, sometimes)
    await replayed(store, broker)
    assert broker.taken == ["a1"]
    assert "embedded.replay waits and tries again" in caplog.text
    assert "Traceback" not in caplog.text, "what is busy is no fault of the replay"


async def test_an_event_that_is_refused_for_itself_holds_up_no_other_and_is_told(store, broker, caplog):
    await published(store, "a1", "b1")
    broker.refused = "a1"
    await replayed(store, broker)
    assert broker.taken == ["b1"]
    assert "it is not liked" in caplog.text


async def test_what_this_broker_was_told_itself_is_not_published_again(store, broker, monkeypatch):
    monkeypatch.setattr(replay, "BATCH", 1)
    await published(store, "a1")
    take, more = broker._take, ["b1"]

    async def while_others_publish(outbox: list[OutgoingEvent]) -> Published:
        if more:
            await published(store, more.pop())
        return await take(outbox)

    monkeypatch.setattr(broker, "_take", while_others_publish)
    await replayed(store, broker)
    assert broker.taken == ["a1"]
    assert [logged.event.id for logged in await store.event_log.pending()] == ["b1"]
