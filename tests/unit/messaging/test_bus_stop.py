"""A bus whose broker hangs can be left."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition

from continuity.messaging import bus as bus_module
from continuity.messaging.acknowledging import Acknowledging
from continuity.messaging.bus import EventBus
from continuity.messaging.connection import KafkaConnection


@pytest.fixture
def hanging(monkeypatch):
    """A bus whose broker answers nothing any more; ``stopped`` tells who was asked to stop."""
    monkeypatch.setattr(bus_module, "STOP_CONSUMING_S", 0.01)
    monkeypatch.setattr(bus_module, "STOP_TIMEOUT_S", 0.01)
    bus, stopped = EventBus(KafkaConnection("127.0.0.1:1"), "cutting"), []

    async def hang():
        stopped.append("asked")
        await asyncio.Event().wait()

    bus._broker = SimpleNamespace(subscribers=[SimpleNamespace(stop=hang) for _ in range(2)], stop=hang)
    return bus, stopped


@pytest.mark.parametrize(("end", "asked"), [("stop_consuming", 2), ("stop", 1)])
async def test_a_broker_that_hangs_is_left_within_a_limit(hanging, caplog, end, asked):
    bus, stopped = hanging
    async with asyncio.timeout(10):
        await getattr(bus, end)()
    assert len(stopped) == asked
    assert "the event broker does not answer" in caplog.text


@pytest.mark.parametrize("end", ["stop_consuming", "stop"])
async def test_what_a_broker_that_hangs_was_not_told_is_not_tried_for_ever(hanging, end):
    bus, _ = hanging

    class Deaf:
        """A consumer whose broker takes no acknowledgement."""

        def assignment(self):
            return {TopicPartition("reels", 0)}

        async def committed(self, partition):
            return None

        async def commit(self, offsets):
            raise KafkaConnectionError

    acknowledging = Acknowledging()
    bus._acknowledging.append(acknowledging)
    before = asyncio.all_tasks()
    await acknowledging(Deaf(), [SimpleNamespace(topic="reels", partition=0, offset=1)])
    (again,) = asyncio.all_tasks() - before
    async with asyncio.timeout(10):
        await getattr(bus, end)()
        await asyncio.wait([again])
    assert again.cancelled()
