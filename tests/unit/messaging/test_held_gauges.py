"""What operators are told of events that wait for a retry."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from continuity.documents.port import DocumentsUnavailable
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.errors import Unavailable, WrongState
from continuity.messaging import held_events as held_module
from continuity.messaging import held_gauges as gauges_module
from continuity.messaging.handling import Failed, Handling, Subscription
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.held_gauges import HeldGauges
from continuity.messaging.record import Record
from continuity.messaging.retries import Retries
from continuity.messaging.topics import Topic
from continuity.telemetry.names import DESTINATION, GROUP, HELD, HELD_AGE
from continuity.telemetry.providers import install

TOPICS = ("reels", "scenes")
AWAY = Failed.by(Unavailable())


class Told:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        install(None, MeterProvider([self.reader], shutdown_on_exit=False))

    def of(self, metric: Any) -> dict[tuple[object, object], float]:
        data = self.reader.get_metrics_data()
        every = [each for r in data.resource_metrics for s in r.scope_metrics for each in s.metrics] if data else []
        points = [point for each in every if each.name == metric.name for point in each.data.data_points]
        return {(point.attributes[GROUP], point.attributes[DESTINATION]): point.value for point in points}


@pytest.fixture
def told() -> Iterator[Told]:
    yield Told()
    install(None, None)


@pytest_asyncio.fixture
async def held(tmp_path, clock):
    store = await SqliteDocuments(tmp_path / "held.sqlite3", [held_collection("cutting")]).open()
    yield HeldEvents(store, "cutting", clock)
    await store.close()


def record(topic: str, offset: int) -> Record:
    return Record(topic, 0, offset, None, (), b"")


async def test_how_many_events_of_each_topic_wait_and_how_long_the_oldest_has(held, clock, told):
    gauges = HeldGauges(held, TOPICS, clock)
    await gauges()
    assert told.of(HELD) == told.of(HELD_AGE) == {("cutting", "reels"): 0, ("cutting", "scenes"): 0}
    for offset in range(3):
        clock.time = float(offset)
        first = await held.hold(record("reels", offset), AWAY)
    await held.hold(record("scenes", 0), Failed.by(WrongState()))
    clock.time = 60.0
    await gauges()
    assert told.of(HELD) == {("cutting", "reels"): 3, ("cutting", "scenes"): 0}, "a dead letter does not wait"
    assert told.of(HELD_AGE) == {("cutting", "reels"): 60.0, ("cutting", "scenes"): 0}
    for claimed in [await held.claim() for _ in range(4)]:
        await held.finish(claimed.held)
    await gauges()
    assert told.of(HELD)["cutting", first.record.topic] == told.of(HELD_AGE)["cutting", first.record.topic] == 0


async def test_they_are_counted_up_to_a_bound(held, clock, told, monkeypatch):
    monkeypatch.setattr(held_module, "HELD_LIMIT", 2)
    for offset in range(3):
        await held.hold(record("reels", offset), AWAY)
    await HeldGauges(held, TOPICS, clock)()
    assert told.of(HELD)["cutting", "reels"] == 2


async def test_a_service_that_works_off_what_it_holds_tells_of_it_and_goes_on_while_the_store_is_away(
    held, clock, told, bus, monkeypatch
):
    monkeypatch.setattr(gauges_module, "INTERVAL_S", 0.001)
    topic = Topic("reels", "test", "id", 4, None, ("cutting",), (), "reels.dead", outbox=True)
    asked = asyncio.Queue()
    waiting = held.waiting

    async def is_asked(topic: str) -> tuple[int, float | None]:
        asked.put_nowait(topic)
        if asked.qsize() == 1:
            raise DocumentsUnavailable(cause="a full disk")
        return await waiting(topic)

    monkeypatch.setattr(held, "waiting", is_asked)
    working = asyncio.create_task(Retries(bus, held, Handling("cutting", [Subscription(topic, {})]), clock).run())
    async with asyncio.timeout(10):
        while not told.of(HELD):
            await asyncio.sleep(0.005)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert asked.get_nowait() == "reels"


async def test_the_store_is_not_asked_where_nobody_listens(clock):
    await HeldGauges(None, TOPICS, clock).run()
