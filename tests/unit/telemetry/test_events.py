"""Traces of aggregates and their events: through the store, the outbox and the consumer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.trace import StatusCode

from continuity.api.events.v1 import character_events_pb2 as pb
from continuity.documents.port import Collection, OutgoingEvent, Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.errors import Unavailable
from continuity.kernel.values import Change
from continuity.messaging.bus import EventBus
from continuity.messaging.cause import caused_by
from continuity.messaging.codec import EventCodec, Publication
from continuity.messaging.connection import BrokerUnavailable, KafkaConnection
from continuity.messaging.envelope import Event
from continuity.messaging.observed import Sending, processing, watch_outcomes
from continuity.messaging.publishing import TopicMissing, publish_each
from continuity.messaging.repository import Aggregates
from continuity.telemetry.names import (
    CONSUMED,
    DEAD_LETTERS,
    ERROR_TYPE,
    GROUP,
    OUTBOX_WAIT,
    PROCESSING,
    RENDER,
    RETRIES,
    SENT,
)
from continuity.telemetry.propagation import continuing, current_traceparent
from continuity.telemetry.tracing import span

REELS = Collection("reels")
ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANOTHER = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Reel:
    id: str
    cuts: int = 0


@dataclass(frozen=True)
class ReelCut:
    character_id: str


class NoRelay:
    owner = "nobody"

    def nudge(self, ref: Ref) -> None:
        pass


def cut(reel: Reel) -> Change[Reel]:
    return Change(replace(reel, cuts=reel.cuts + 1), [ReelCut(reel.id)])


def trace_of(traceparent: str | None) -> str:
    assert traceparent
    return traceparent.split("-")[1]


def event(traceparent: str | None) -> Event:
    extensions = {"traceparent": traceparent} if traceparent else {}
    return Event("e1", "continuity/tests", "ReelCut", "a", "default", b"", "e1", extensions)


@dataclass
class Shelf:
    documents: SqliteDocuments
    reels: Aggregates[Reel]

    async def told(self) -> list[str | None]:
        """The traceparents of the events that wait."""
        waiting = await self.documents.outbox(Ref("reels", "default", "a"))
        return [each.headers.get("traceparent") for each in waiting]

    async def stored(self) -> str | None:
        found, _ = await self.reels.page(project="default")
        return found[0].traceparent


@pytest_asyncio.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", [REELS]).open()
    codec = EventCodec("tests", {ReelCut: Publication("reels", pb.CharacterIngested, lambda told: told.character_id)})
    relay: Any = NoRelay()
    yield Shelf(documents, Aggregates(Reel, REELS, documents, codec, relay))
    await documents.close()


async def test_an_aggregate_keeps_the_trace_that_it_was_added_in(kept: Any, shelf: Shelf) -> None:
    with span(RENDER):
        added_in = current_traceparent()
        await shelf.reels.add("default", "a", Change(Reel("a")))
    assert await shelf.stored() == added_in
    await shelf.reels.change("default", "a", cut)
    assert await shelf.stored() == added_in
    assert await shelf.told() == [added_in]
    assert await shelf.reels.get("default", "a") == Reel("a", 1)


async def test_whoever_claims_an_aggregate_gets_its_trace(shelf: Shelf) -> None:
    with continuing(ELSEWHERE):
        await shelf.reels.add("default", "a", Change(Reel("a")))
    (claimed,) = await shelf.reels.claim([], ["cuts"], {"cuts": 7})
    assert (claimed.aggregate.cuts, claimed.traceparent) == (7, ELSEWHERE)


async def test_events_of_a_change_within_the_trace_are_below_the_span_that_makes_it(kept: Any, shelf: Shelf) -> None:
    with continuing(ELSEWHERE):
        await shelf.reels.add("default", "a", Change(Reel("a")))
    with span(RENDER, parent=ELSEWHERE):
        here = current_traceparent()
        await shelf.reels.change("default", "a", cut)
    assert await shelf.told() == [here]


async def test_a_change_from_another_trace_leaves_the_aggregate_in_its_own(kept: Any, shelf: Shelf) -> None:
    with continuing(ELSEWHERE):
        await shelf.reels.add("default", "a", Change(Reel("a")))
    with span(RENDER, parent=ANOTHER), caused_by(event(ANOTHER)):
        await shelf.reels.change("default", "a", cut)
    assert await shelf.told() == [ELSEWHERE]
    assert await shelf.stored() == ELSEWHERE


async def test_without_a_trace_nothing_is_kept(shelf: Shelf) -> None:
    await shelf.reels.add("default", "a", cut(Reel("a")))
    assert await shelf.stored() is None
    assert await shelf.told() == [None]


def outgoing(**fields: Any) -> OutgoingEvent:
    given = {"headers": {"traceparent": ELSEWHERE}, "time": 0.0, **fields}
    return OutgoingEvent("e1", "continuity/tests", "ReelCut", "reels", "a", "default", payload=b"", **given)


def test_a_sent_event_is_a_span_in_its_trace_and_counted(kept: Any) -> None:
    Sending(outgoing()).end()
    sent = kept.span("send reels")
    assert f"{sent.context.trace_id:032x}" == trace_of(ELSEWHERE)
    assert sent.status.status_code is StatusCode.UNSET
    ((described, number),) = kept.points(SENT)
    assert (described["messaging.destination.name"], number) == ("reels", 1)
    assert [count for _, count in kept.points(OUTBOX_WAIT)] == [1]


def test_an_event_that_is_part_of_no_trace_is_counted_only(kept: Any) -> None:
    Sending(outgoing(headers={})).end()
    assert kept.finished == []
    assert len(kept.points(SENT)) == 1


def test_an_event_that_is_not_to_be_traced_leaves_its_trace() -> None:
    untraced = Publication("reels", pb.CharacterIngested, lambda told: told.character_id, traced=False)
    with continuing(ELSEWHERE):
        (told,) = EventCodec("tests", {ReelCut: untraced}).encode("default", [ReelCut("a")])
    assert "traceparent" not in told.headers


def test_an_event_that_the_broker_refuses_is_told_with_the_reason(kept: Any) -> None:
    Sending(outgoing()).end(Unavailable())
    assert kept.span("send reels").attributes[ERROR_TYPE] == "UNAVAILABLE"
    ((described, _),) = kept.points(SENT)
    assert described[ERROR_TYPE] == "UNAVAILABLE"
    assert kept.points(OUTBOX_WAIT) == []


def test_handling_goes_on_with_the_events_trace_and_is_measured(kept: Any) -> None:
    with processing("reels", "cutting", event(ELSEWHERE)):
        assert trace_of(current_traceparent()) == trace_of(ELSEWHERE)
    assert f"{kept.span('process reels').parent.span_id:016x}" == ELSEWHERE.split("-")[2]
    for metric in (CONSUMED, PROCESSING):
        ((described, number),) = kept.points(metric)
        assert (described[GROUP], number) == ("cutting", 1)


def test_an_event_without_a_trace_begins_one(kept: Any) -> None:
    with processing("reels", "cutting", event(None)):
        assert current_traceparent() is not None
    assert kept.span("process reels").parent is None


def test_a_handler_that_fails_is_told_by_reason(kept: Any) -> None:
    with pytest.raises(Unavailable), processing("reels", "cutting", event(ELSEWHERE)):
        raise Unavailable
    ((described, _),) = kept.points(PROCESSING)
    assert described[ERROR_TYPE] == "UNAVAILABLE"


async def test_handlers_side_by_side_keep_their_traces_apart(kept: Any) -> None:
    async def handle(traceparent: str) -> bool:
        with processing("reels", "cutting", event(traceparent)):
            await asyncio.sleep(0)
            return trace_of(current_traceparent()) == trace_of(traceparent)

    assert all(await asyncio.gather(*(handle(each) for each in (ELSEWHERE, ANOTHER) * 10)))


def test_what_consumers_count_is_read_when_metrics_are(kept: Any) -> None:
    vision: Counter[str] = Counter()
    watch_outcomes("vision", vision)
    watch_outcomes("matting", Counter(dead=1))
    vision["retried"] += 2
    assert sorted((described[GROUP], number) for described, number in kept.points(RETRIES)) == [
        ("matting", 0),
        ("vision", 2),
    ]
    assert {described[GROUP]: number for described, number in kept.points(DEAD_LETTERS)} == {"vision": 0, "matting": 1}


def test_a_process_that_sends_nothing_hands_the_trace_on() -> None:
    with processing("reels", "cutting", event(ELSEWHERE)):
        assert current_traceparent() == ELSEWHERE
    Sending(outgoing()).end()


async def test_an_event_for_which_there_is_no_more_time_ends_its_span(kept: Any) -> None:
    async def never(_: OutgoingEvent) -> Any:
        await asyncio.Event().wait()

    (published,) = await publish_each([[outgoing()]], never, lambda topic: BrokerUnavailable(), 0.01)
    assert published.count == 0
    assert kept.span("send reels").status.status_code is StatusCode.ERROR


async def test_an_event_that_is_posted_and_refused_is_counted(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: OutgoingEvent) -> Any:
        raise TopicMissing(topic="reels")

    bus = EventBus(KafkaConnection("127.0.0.1:1"), "cutting")
    monkeypatch.setattr(bus, "_send", refuse)
    with pytest.raises(TopicMissing):
        await bus.post([outgoing()])
    ((described, number),) = kept.points(SENT)
    assert (described[ERROR_TYPE], number) == ("TOPIC_MISSING", 1)
