from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from continuity.documents.port import OutgoingEvent
from continuity.kernel.values import ObjectRef
from continuity.messaging.bus import BrokerUnavailable
from continuity.messaging.envelope import headers
from continuity.messaging.topics import load_topics
from services.rendering.adapters.progress_topic import FEED_LIMIT, SEND_LIMIT, ProgressTopic
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import RENDERING
from services.rendering.entrypoints.mapping import CODEC, PROGRESS_TOPIC

PREVIEW = ObjectRef("film/previews/1.jpg", "11", 3, "image/jpeg")


class LoopedBus:
    """Hands every event that is published to who listens, on the same topic."""

    def __init__(self) -> None:
        self.hear: Callable[[Any], Awaitable[None]]
        self.is_away = False
        self.published = 0

    def listen(self, topic: str, handle: Callable[[Any], Awaitable[None]]) -> None:
        assert topic == PROGRESS_TOPIC
        self.hear = handle

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        if self.is_away:
            raise BrokerUnavailable
        for event in events:
            self.published += 1
            wire = [(name, value.encode()) for name, value in headers(event).items()]
            await self.hear(record(wire, event.payload))


def record(wire: list[tuple[str, bytes]], value: bytes) -> Any:
    return SimpleNamespace(raw_message=SimpleNamespace(headers=wire, value=value))


class Line:
    def __init__(self) -> None:
        self.bus = LoopedBus()
        self.heard: list[RenderProgressed] = []
        topic = load_topics()[PROGRESS_TOPIC]
        self.progress = ProgressTopic(self.bus, topic, CODEC, self.heard.append)  # type: ignore[arg-type]


@pytest.fixture
def line() -> Line:
    return Line()


async def test_a_word_reaches_whoever_listens_to_its_job_as_it_was_told(line):
    feed = line.progress.listen("film", ["job"])
    word = RenderProgressed("job", RENDERING, 2, 4, PREVIEW)
    await line.progress.tell("film", word)
    assert await feed.next(20.0) == word
    assert line.heard == [word]


async def test_words_of_other_jobs_and_projects_are_not_heard(line):
    feed = line.progress.listen("film", ["job"])
    await line.progress.tell("film", RenderProgressed("another", RENDERING))
    await line.progress.tell("other", RenderProgressed("job", RENDERING))
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 1, 4))
    assert (await feed.next(20.0)).step == 1
    assert len(line.heard) == 3


async def test_a_feed_that_is_closed_hears_no_more_and_the_others_do(line):
    first, second = (line.progress.listen("film", ["job", "job"]) for _ in range(2))
    first.close()
    await line.progress.tell("film", RenderProgressed("job", RENDERING))
    assert await second.next(20.0) is not None
    assert await first.next(0.0) is None


async def test_a_slow_reader_loses_the_oldest_words(line):
    feed = line.progress.listen("film", ["job"])
    for step in range(FEED_LIMIT + 5):
        feed.put(RenderProgressed("job", RENDERING, step))
    assert (await feed.next(20.0)).step == 5


async def test_a_broker_that_is_away_costs_words_and_nothing_else(line):
    line.bus.is_away = True
    feed = line.progress.listen("film", ["job"])
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 1))
    assert await feed.next(0.01) is None
    line.bus.is_away = False
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 2))
    assert (await feed.next(20.0)).step == 2


async def test_more_words_than_can_be_on_their_way_are_dropped(line):
    feed = line.progress.listen("film", ["job"])
    for step in range(SEND_LIMIT * 2):  # nothing is sent until this coroutine waits
        await line.progress.tell("film", RenderProgressed("job", RENDERING, step))
    assert await feed.next(20.0) is not None
    assert line.bus.published == SEND_LIMIT


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b""], ids=["garbage", "empty"])
@pytest.mark.parametrize("wire", [[], [("ce_id", b"1")]], ids=["no-headers", "half-headers"])
async def test_what_is_no_event_of_ours_is_passed_over(line, wire, payload):
    await line.bus.hear(record(wire, payload))
    assert not line.heard


async def test_an_event_whose_payload_does_not_parse_is_passed_over(line):
    (event,) = CODEC.encode("film", [RenderProgressed("job", RENDERING)])
    wire = [(name, value.encode()) for name, value in headers(event).items()]
    await line.bus.hear(record(wire, b"\xff\xff\xff"))
    assert not line.heard
