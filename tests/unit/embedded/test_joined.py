"""What commands ask of a runtime, over a channel as they do."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from continuity.rpc.runtime import RuntimeCalls, add_runtime
from services.embedded.runtime import Joined
from tests.unit.embedded.test_idle import Scripted


class Renderer:
    def __init__(self, *, startable: bool = True) -> None:
        self.startable = startable
        self.started = False

    def start(self) -> bool:
        self.started = True
        return self.startable


@pytest.fixture
async def joined():
    """Serve a runtime; return its calls and the event that ends it."""
    opened = []

    async def serve(*idle, may_end=True, renderer=None):
        server, stopped = grpc.aio.server(), asyncio.Event()
        add_runtime(Joined(Scripted(*idle), renderer or Renderer(), stopped, may_end=may_end), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        opened.append((channel, server))
        return RuntimeCalls(channel), stopped

    yield serve
    for channel, server in opened:
        await channel.close()
        await server.stop(0)


async def test_an_idle_runtime_ends_on_request(joined):
    calls, stopped = await joined(True)
    assert await calls.end_if_idle()
    assert stopped.is_set()


async def test_it_is_looked_again_while_the_one_who_asks_is_still_seen_to_hold_it(joined):
    calls, stopped = await joined(False, False, True)
    assert await calls.end_if_idle()
    assert stopped.is_set()


async def test_a_busy_runtime_goes_on(joined):
    calls, stopped = await joined(False)
    assert not await calls.end_if_idle()
    assert not stopped.is_set()


async def test_a_runtime_that_somebody_has_started_by_hand_goes_on_also_when_it_is_idle(joined):
    calls, stopped = await joined(True, may_end=False)
    assert not await calls.end_if_idle()
    assert not stopped.is_set()


@pytest.mark.parametrize("startable", [True, False])
async def test_what_draws_is_started_on_request_and_told_of(joined, startable):
    calls, _ = await joined(True, renderer=Renderer(startable=startable))
    assert not await calls.renderer_started()
    assert await calls.start_renderer() == startable
    assert await calls.renderer_started()
