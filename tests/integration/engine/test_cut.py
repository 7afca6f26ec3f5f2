"""Connections that are cut: whoever asked over them leaves nothing behind, whatever the engine does for them then."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable
from tests.integration.engine.asking import ENDLESS, answered
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import Device
from tests.integration.engine.seen import Seen
from tests.integration.engine.wire import Wire

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

MORE = Case({"images": 8, "steps": 1, "guidance": 1.0})
"""Whatever unit it is cut in, others would follow."""


@pytest.fixture
async def wire(device: Device) -> AsyncIterator[Wire]:
    async with Wire(device.server.address) as wire:
        yield wire


@pytest.fixture
async def cut_client(wire: Wire) -> AsyncIterator[TritonClient]:
    async with TritonClient(wire.address) as client:
        yield client


@pytest.fixture(params=["built", "read"])
def unread(request: pytest.FixtureRequest, home: Path) -> Iterator[str]:
    """The name of a checkpoint that is not in memory."""
    folder = shutil.copytree(home / "models" / "sdxl-tiny", home / "models" / f"to-be-{request.param}")
    yield folder.name
    shutil.rmtree(folder)


async def cut_is_noticed(wire: Wire, seen: Seen, task: asyncio.Task[object]) -> None:
    wire.cut()
    with pytest.raises(RendererUnavailable):
        await task
    await seen.unwanted("gone")


@pytest.mark.parametrize("phase", ["encode", "step", "decode"])
async def test_who_is_cut_off_gets_no_further_unit(
    device: Device,
    seen: Seen,
    wire: Wire,
    cut_client: TritonClient,
    batching_client: TritonClient,
    expected_in_batches: Expected,
    phase: str,
) -> None:
    device.hold(phase)
    gone = asyncio.create_task(answered(cut_client, MORE, "gone", priority=70))
    await seen.before(phase, ["gone"])
    staying = asyncio.create_task(answered(batching_client, CASES["many steps"], "staying", priority=10))
    await seen.prepared("staying")
    await cut_is_noticed(wire, seen, gone)
    noted = len(seen.units())
    device.release(phase)
    assert (await staying).sha256 == expected_in_batches("many steps")
    assert not any("gone" in unit.requests for unit in seen.units()[noted:])


async def test_who_is_cut_off_amid_a_step_leaves_the_others_of_its_batch_their_bytes(
    device: Device,
    seen: Seen,
    wire: Wire,
    cut_client: TritonClient,
    batching_client: TritonClient,
    expected_in_batches: Expected,
) -> None:
    device.hold("encode")
    gone = asyncio.create_task(answered(cut_client, ENDLESS, "gone", priority=70))
    await seen.before("encode", ["gone"])
    names = ("rescaled", "many steps")
    staying = [asyncio.create_task(answered(batching_client, CASES[name], name)) for name in names]
    await seen.prepared(*names)
    device.hold("step")
    device.release("encode")
    await seen.before("step", ["gone", *names])
    await cut_is_noticed(wire, seen, gone)
    noted = len(seen.units())
    device.release("step")
    assert [(await each).sha256 for each in staying] == [expected_in_batches(name) for name in names]
    assert not any("gone" in unit.requests for unit in seen.units()[noted:])


async def test_who_is_cut_off_while_it_waits_never_begins(
    device: Device,
    seen: Seen,
    wire: Wire,
    cut_client: TritonClient,
    batching_client: TritonClient,
    expected_in_batches: Expected,
) -> None:
    device.hold("step")
    staying = asyncio.create_task(answered(batching_client, CASES["many steps"], "staying"))
    await seen.before("step", ["staying"])
    gone = asyncio.create_task(answered(cut_client, MORE, "gone", priority=10))
    await seen.prepared("gone")
    device.hold("decode")
    device.release("step")
    await seen.before("decode", ["staying"])
    await cut_is_noticed(wire, seen, gone)
    device.release("decode")
    assert (await staying).sha256 == expected_in_batches("many steps")
    following = await answered(batching_client, CASES["plain"], "following", priority=0)
    assert following.sha256 == expected_in_batches("plain")
    assert not seen.has_begun("gone")


async def test_who_is_cut_off_while_its_checkpoint_is(
    device: Device,
    seen: Seen,
    wire: Wire,
    cut_client: TritonClient,
    batching_client: TritonClient,
    expected_in_batches: Expected,
    unread: str,
) -> None:
    held = unread if unread == "to-be-read" else "load"
    device.hold(held)
    more = replace(MORE, fields={**MORE.fields, "checkpoint": unread})
    gone = asyncio.create_task(answered(cut_client, more, "gone", priority=70))
    await seen.before("load", ["gone"])
    staying = asyncio.create_task(answered(batching_client, CASES["many steps"], "staying", priority=10))
    await seen.prepared("staying")
    await cut_is_noticed(wire, seen, gone)
    noted = len(seen.units())
    if held == "load":
        device.release(held)
    assert (await staying).sha256 == expected_in_batches("many steps")
    assert not any("gone" in unit.requests for unit in seen.units()[noted:])
    device.release(held)
    after = await answered(batching_client, Case({"checkpoint": unread}), "after")
    assert after.sha256 == expected_in_batches("plain")
