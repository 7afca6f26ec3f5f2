from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from continuity.documents.port import OutgoingEvent
from continuity.kernel.values import ObjectRef
from continuity.messaging.bus import BrokerUnavailable
from continuity.messaging.envelope import headers
from continuity.messaging.record import Record
from continuity.messaging.topics import load_topics
from services.rendering.adapters.progress_topic import FEED_LIMIT, SEND_LIMIT, WHOLE_LIMIT, ProgressTopic
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import READY, RENDERING
from services.rendering.entrypoints.mapping import CODEC, PROGRESS_TOPIC
from tests.unit.rendering.builders import job_in, shot

PREVIEW = ObjectRef("film/previews/1.jpg", "11", 3, "image/jpeg")


class LoopedBus:
    """Hands every event that is published to all who listen, on the same topic."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Any], Awaitable[None]]] = []
        self.is_away = False
        self.published = 0

    def listen(self, topic: str, handle: Callable[[Any], Awaitable[None]]) -> None:
        assert topic == PROGRESS_TOPIC
        self.listeners.append(handle)

    async def hear(self, records: Sequence[Record]) -> None:
        for handle in self.listeners:
            await handle(records)

    async def post(self, events: Sequence[OutgoingEvent]) -> None:
        if self.is_away:
            raise BrokerUnavailable
        for event in events:
            self.published += 1
            wire = [(name, value.encode()) for name, value in headers(event).items()]
            await self.hear([record(wire, event.payload)])


def record(wire: list[tuple[str, bytes]], value: bytes) -> Record:
    return Record(PROGRESS_TOPIC, 0, 0, None, tuple(wire), value)


class Line:
    """Words are told at one replica; ``heard`` and ``listen`` are those of another, ``told`` of the first."""

    def __init__(self) -> None:
        self.bus = LoopedBus()
        self.told: list[RenderProgressed] = []
        self.heard: list[RenderProgressed] = []
        topic = load_topics()[PROGRESS_TOPIC]
        self.progress = ProgressTopic(self.bus, topic, CODEC, self.told.append)  # type: ignore[arg-type]
        self.far = ProgressTopic(self.bus, topic, CODEC, self.heard.append)  # type: ignore[arg-type]


@pytest.fixture
def line() -> Line:
    return Line()


async def test_a_word_reaches_whoever_listens_to_its_job_as_it_was_told(line):
    feed = line.far.listen("film", ["job"])
    word = RenderProgressed("job", RENDERING, 2, 4, PREVIEW)
    await line.progress.tell("film", word)
    assert await feed.next(20.0) == word
    assert line.heard == [word]


async def test_a_word_is_heard_at_once_and_once_where_it_is_told_before_any_other_replica(line):
    near, far = line.progress.listen("film", ["job"]), line.far.listen("film", ["job"])
    word = RenderProgressed("job", RENDERING, 2, 4)
    await line.progress.tell("film", word)
    assert near.waiting() == [word]
    assert await far.next(20.0) == word
    assert near.waiting() == []
    assert line.told == [word]


async def test_words_of_other_jobs_and_projects_are_not_heard(line):
    feed = line.far.listen("film", ["job"])
    await line.progress.tell("film", RenderProgressed("another", RENDERING))
    await line.progress.tell("other", RenderProgressed("job", RENDERING))
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 1, 4))
    assert (await feed.next(20.0)).step == 1
    assert len(line.heard) == 3


async def test_a_feed_that_is_closed_hears_no_more_and_the_others_do(line):
    first, second = (line.far.listen("film", ["job", "job"]) for _ in range(2))
    first.close()
    await line.progress.tell("film", RenderProgressed("job", RENDERING))
    assert await second.next(20.0) is not None
    assert await first.next(0.0) is None


async def test_a_slow_reader_loses_the_oldest_words(line):
    feed = line.far.listen("film", ["job"])
    for step in range(FEED_LIMIT + 5):
        feed.put(RenderProgressed("job", RENDERING, step))
    assert (await feed.next(20.0)).step == 5


async def test_a_broker_that_is_away_costs_words_and_nothing_else(line):
    line.bus.is_away = True
    feed = line.far.listen("film", ["job"])
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 1))
    assert await feed.next(0.01) is None
    line.bus.is_away = False
    await line.progress.tell("film", RenderProgressed("job", RENDERING, 2))
    assert (await feed.next(20.0)).step == 2


async def test_of_words_that_gather_while_others_are_sent_each_jobs_last_goes(line):
    feed = line.far.listen("film", ["first", "second"])
    for step in range(10):  # nothing is sent until this coroutine waits
        await line.progress.tell("film", RenderProgressed("first", RENDERING, step))
        await line.progress.tell("film", RenderProgressed("second", RENDERING, step))
    first = await feed.next(20.0)
    assert [(word.job_id, word.step) for word in (first, *feed.waiting())] == [("first", 9), ("second", 9)]
    assert feed.waiting() == []


async def test_words_on_more_jobs_than_can_be_on_their_way_are_dropped(line):
    feed = line.far.listen("film", ["job-0"])
    for number in range(SEND_LIMIT * 2):
        await line.progress.tell("film", RenderProgressed(f"job-{number}", RENDERING))
    assert await feed.next(20.0) is not None
    assert line.bus.published == SEND_LIMIT
    await line.progress.tell("film", RenderProgressed("job-0", RENDERING, 1))
    assert (await feed.next(20.0)).step == 1


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b""], ids=["garbage", "empty"])
@pytest.mark.parametrize("wire", [[], [("ce_id", b"1")]], ids=["no-headers", "half-headers"])
async def test_what_is_no_event_of_ours_is_passed_over(line, wire, payload):
    await line.bus.hear([record(wire, payload)])
    assert not line.heard


async def test_an_event_whose_payload_does_not_parse_is_passed_over(line):
    (event,) = CODEC.encode("film", [RenderProgressed("job", RENDERING)])
    wire = [(name, value.encode()) for name, value in headers(event).items()]
    await line.bus.hear([record(wire, b"\xff\xff\xff")])
    assert not line.heard


async def test_of_words_that_a_slow_reader_leaves_only_the_first_keep_their_jobs(line):
    job = job_in(READY, shot(1))
    feed = line.progress.listen("film", [job.id])
    for _ in range(WHOLE_LIMIT + 1):
        await line.progress.tell("film", job)
    *whole, last = feed.waiting()
    assert whole == [job] * WHOLE_LIMIT
    assert last == RenderProgressed(job.id, READY)
