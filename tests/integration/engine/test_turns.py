"""Whose turn it is, told by the device's units or by the order of responses: urgent ones, crowds, clients that go."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.tensors import Tensors
from tests.integration.engine.asking import ENDLESS, OF_LONG_STEPS, answered, begun, left, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import Device

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

QUEUE = 256
LIMIT_S = 60.0


class Order:
    """Who was heard, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def of(self, who: str) -> Callable[[Tensors], None]:
        """Return what notes a response as this one's."""
        return lambda _response: self.heard.append(who)


async def test_an_interactive_request_gets_the_device_after_one_step_and_keeps_it_until_it_is_done(
    device: Device, batching_client: TritonClient
) -> None:
    long = await begun(batching_client, OF_LONG_STEPS, "long", step=2)
    handed_in_s = time.monotonic()
    await answered(batching_client, CASES["many steps"], "urgent", priority=90)
    assert not long.done()
    whose = [unit.requests for unit in device.units_since(handed_in_s)]
    last = max(place for place, each in enumerate(whose) if each == ["urgent"])
    assert whose[: whose.index(["urgent"])] in ([], [["long"]])
    assert ["long"] not in whose[whose.index(["urgent"]) : last]
    await left(long)


async def test_the_more_urgent_of_those_that_wait_comes_first(client: TritonClient) -> None:
    order = Order()
    long = await begun(client, ENDLESS, "long", priority=100)
    waiting = [
        asyncio.create_task(answered(client, CASES["one step"], who, priority=priority, heard=order.of(who)))
        for who, priority in (("low", 10), ("middle", 50), ("high", 70))
    ]
    for _ in range(2):  # what is refused while it is prepared, and is prepared after all others, tells that they are
        await require_refusal(client, Case({"steps": 0}), "refused", "steps", priority=0)
    await left(long)
    await asyncio.gather(*waiting)
    assert list(dict.fromkeys(order.heard)) == ["high", "middle", "low"]


async def test_who_is_cancelled_takes_at_most_one_further_step_and_the_others_go_on(
    device: Device, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    going = await begun(batching_client, OF_LONG_STEPS, "going", step=2, priority=70)
    staying = asyncio.create_task(answered(batching_client, CASES["many steps"], "staying", priority=10))
    cancelled_s = time.monotonic()
    await left(going)
    assert (await staying).sha256 == expected_in_batches("many steps")
    assert sum("going" in unit.requests for unit in device.units_since(cancelled_s)) <= 1


async def test_others_draw_while_the_files_of_a_checkpoint_are_read(
    device: Device, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    began_s = time.monotonic()
    with device.holding("one-file"):
        waiting = asyncio.create_task(answered(batching_client, Case({"checkpoint": "one-file"}), "waiting"))
        async with asyncio.timeout(LIMIT_S):
            await answered(batching_client, CASES["one step"], "urgent", priority=90)
            beside = await answered(batching_client, CASES["many steps"], "beside", priority=10)
        assert beside.sha256 == expected_in_batches("many steps")
        units = device.units_since(began_s)
        assert ("load", ["waiting"]) in [(unit.phase, unit.requests) for unit in units]
        assert {unit.phase for unit in units if unit.requests == ["waiting"]} == {"load"}
    assert (await waiting).sha256 == expected_in_batches("plain")


async def test_a_picture_above_a_megapixel_goes_through_the_autoencoder_by_tiles_each_a_unit(
    device: Device, batching_client: TritonClient
) -> None:
    began_s = time.monotonic()
    await answered(batching_client, CASES["hi-res in tiles"], "tiled")
    phases = [unit.phase for unit in device.units_since(began_s) if unit.requests == ["tiled"] and unit.phase != "load"]
    tile = 2
    assert phases == ["encode", "step", "decode", *["encode"] * tile, "step", *["decode"] * tile]


async def test_a_client_that_vanishes_leaves_its_place_to_others(
    client: TritonClient, server: TritonServer, expected: Expected
) -> None:
    async with TritonClient(server.address) as gone:
        running = await begun(gone, ENDLESS, "running", priority=100)
        waiting = [asyncio.create_task(answered(gone, ENDLESS, f"waiting-{i}", priority=90)) for i in range(4)]
        with pytest.raises(RenderRefused):  # prepared after those that wait, and refused there
            await answered(gone, Case({"steps": 0}), "last", priority=0)
    await asyncio.gather(running, *waiting, return_exceptions=True)
    assert (await answered(client, CASES["plain"], "next", priority=0)).sha256 == expected("plain")


async def test_each_of_a_thousand_requests_at_once_is_drawn_or_told_that_it_is_full(
    client: TritonClient, expected: Expected
) -> None:
    async def outcome(number: int) -> str:
        try:
            answer = await answered(client, CASES["one step"], f"flood-{number}")
        except RenderRefused as refused:
            return refused.detail.split("]")[0].removeprefix("[")
        return "drawn" if answer.sha256 == expected("one step") else "other bytes"

    outcomes = Counter(await asyncio.gather(*map(outcome, range(1000))))
    assert outcomes.keys() == {"drawn", "full"}
    assert outcomes["drawn"] >= QUEUE
    assert (await answered(client, CASES["plain"])).sha256 == expected("plain")
