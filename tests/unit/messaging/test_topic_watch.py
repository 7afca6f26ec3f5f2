"""Topics that are gone: named at the first look, made at the second, and no reason to stop looking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from continuity.messaging import topic_watch
from continuity.messaging.administration import TopicDenied
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import TopicMissing
from continuity.messaging.topic_watch import TopicWatch

LIMIT_S = 10.0


class Broker:
    """Has topics, and makes those that are wanted; ``steps`` is all that it was asked, with how it went."""

    def __init__(self) -> None:
        self.topics = {"render", "prompt"}
        self.away = False
        self.refusal: Exception | None = None
        self.steps: list[str] = []

    async def names(self) -> list[str]:
        if self.away:
            self.steps.append("away")
            raise BrokerUnavailable
        self.steps.append("looked")
        return sorted(self.topics)

    async def make(self) -> None:
        if self.refusal is not None:
            self.steps.append("refused")
            raise self.refusal
        self.steps.append("made")
        self.topics |= {"render", "prompt"}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest_asyncio.fixture
async def watch(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TopicWatch]:
    """A watch that looks without a rest."""
    for pause in ("LOOK_S", "FIRST_PAUSE_S", "MAX_PAUSE_S"):
        monkeypatch.setattr(topic_watch, pause, 0.0)
    watch = TopicWatch("rendering", broker.names, broker.make)
    watch.use(["render", "prompt"])
    running = asyncio.create_task(watch.run())
    yield watch
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def is_missing(watch: TopicWatch) -> bool:
    try:
        watch.require_all()
    except TopicMissing:
        return True
    return False


async def test_a_topic_that_is_gone_is_named_and_made_when_it_was_missing_twice(
    watch: TopicWatch, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: "looked" in broker.steps)
    broker.steps.clear()
    broker.topics.discard("prompt")
    await until(lambda: is_missing(watch))
    assert broker.steps == ["looked"]
    with pytest.raises(TopicMissing, match="prompt"):
        watch.require(["prompt"])
    watch.require(["render"])
    await until(lambda: not is_missing(watch))
    assert broker.steps[:4] == ["looked", "looked", "made", "looked"]
    assert "topic prompt does not exist" in caplog.text
    assert "topic prompt is there again" in caplog.text


async def test_one_that_comes_back_by_itself_is_not_made(watch: TopicWatch, broker: Broker) -> None:
    broker.topics.discard("prompt")
    await until(lambda: is_missing(watch))
    broker.topics.add("prompt")
    await until(lambda: not is_missing(watch))
    assert "made" not in broker.steps


@pytest.mark.parametrize("refusal", [TopicDenied("prompt", "not allowed"), ZeroDivisionError()])
async def test_one_that_cannot_be_made_is_tried_again_and_says_why(
    watch: TopicWatch, broker: Broker, refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    broker.refusal = refusal
    broker.topics.discard("prompt")
    await until(lambda: broker.steps.count("refused") >= 3)
    assert is_missing(watch)
    assert type(refusal).__name__ in caplog.text or str(refusal) in caplog.text
    broker.refusal = None
    await until(lambda: not is_missing(watch))


async def test_a_broker_that_is_away_makes_no_topic_missing(watch: TopicWatch, broker: Broker) -> None:
    broker.away = True
    broker.steps.clear()
    await until(lambda: broker.steps.count("away") >= 3)
    assert not is_missing(watch)
    broker.away = False
    await until(lambda: "looked" in broker.steps)


async def test_a_topic_that_nobody_uses_may_be_gone(broker: Broker) -> None:
    watch = TopicWatch("prompts", broker.names, broker.make)
    watch.use(["render"])
    broker.topics.discard("prompt")
    await watch.look()
    watch.require_all()
