"""What goes together: the outboxes of many documents in one go, the events of one outbox without waiting for each."""

import asyncio

import pytest

from continuity.documents import OutgoingEvent
from continuity.kernel.values import Change
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import publish_each
from continuity.messaging.relay import BATCH_LIMIT

REELS = 30
PATIENCE_S = 10.0


@pytest.fixture
def goes(bus, monkeypatch):
    """How many outboxes, and how many events of them, went in each go."""
    gone = []
    publish = bus.publish_each

    async def noted(outboxes):
        gone.append([len(outbox) for outbox in outboxes])
        return await publish(outboxes)

    monkeypatch.setattr(bus, "publish_each", noted)
    return gone


async def test_the_outboxes_of_many_documents_go_in_one_go(reels, relay, bus, goes, running, new_reel, reel_cut):
    for id in (f"reel-{number}" for number in range(REELS)):
        await reels.add("default", id, Change(new_reel(id), [reel_cut(id, 1)]))
    async with running(relay):
        await bus.until(lambda: len(bus.published) == REELS)
    assert [gone for gone in goes if gone] == [[1] * REELS]


async def test_the_events_of_one_document_go_together(reels, relay, bus, goes, running, new_reel, reel_cut):
    await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", version) for version in range(1, 6)]))
    async with running(relay):
        await bus.until(lambda: len(bus.published) == 5)
    assert [gone for gone in goes if gone] == [[5]]


async def test_one_go_has_its_limit(reels, relay, bus, goes, running, new_reel, reel_cut):
    ids = [f"reel-{number}" for number in range(BATCH_LIMIT + 1)]
    await reels.add_each("default", {id: Change(new_reel(id), [reel_cut(id, 1)]) for id in ids})
    async with running(relay):
        await bus.until(lambda: len(bus.published) == BATCH_LIMIT + 1)
    assert [len(gone) for gone in goes if gone] == [BATCH_LIMIT, 1]


class ConfirmsAtTheEnd:
    """A broker that confirms nothing until it has everything; one that is asked for each would wait for ever."""

    def __init__(self, count):
        self.sent, self.futures, self._count = [], [], count

    async def send(self, event):
        self.sent.append(event.id)
        self.futures.append(asyncio.get_running_loop().create_future())
        if len(self.sent) == self._count:
            for future in self.futures:
                future.set_result(None)
        return self.futures[-1]


def outbox(key, count):
    return [
        OutgoingEvent(f"{key}-{number}", "continuity/test", "ReelCut", "reels", key, "film", 1.0, b"")
        for number in range(count)
    ]


async def test_all_is_sent_in_order_before_any_confirmation_is_waited_for():
    broker = ConfirmsAtTheEnd(6)
    outboxes = [outbox("a", 3), outbox("b", 3)]
    outcomes = await publish_each(outboxes, broker.send, lambda _: BrokerUnavailable(), PATIENCE_S)
    assert [(outcome.count, outcome.error) for outcome in outcomes] == [(3, None), (3, None)]
    assert broker.sent == [event.id for each in outboxes for event in each]
