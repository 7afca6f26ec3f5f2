"""A bus whose broker hangs can be left."""

import asyncio
from types import SimpleNamespace

import pytest

from continuity.messaging import bus as bus_module
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
