"""A queue has an end in time and in bytes; its length is that of ``test_turns``."""

from __future__ import annotations

import asyncio

import pytest

from continuity.inference.client import TritonClient
from tests.integration.engine.asking import answered, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import MEBIBYTE, Device
from tests.integration.engine.pictures import noise
from tests.integration.engine.seen import Seen

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

WAITING_S = 3600
LIMIT_S = 60.0
LARGE = Case({"strength": 0.5, "steps": 4}, {"image": [noise(3, side=1024)]})
"""Its file alone has three MiB."""


async def test_who_has_waited_for_an_hour_is_told_so_and_who_has_begun_is_not(
    device: Device, seen: Seen, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    device.hold("step")
    running = asyncio.create_task(answered(batching_client, CASES["many steps"], "running"))
    await seen.before("step", ["running"])
    reason = rf"36\d\d seconds passed before this could begin, it takes {WAITING_S}"
    waiting = asyncio.create_task(require_refusal(batching_client, CASES["unguided"], "full", reason, id="waiting"))
    await seen.prepared("waiting")
    with device.later(WAITING_S):
        device.release("step")
        await waiting
    served = await answered(batching_client, CASES["unguided"], "next")
    assert served.sha256 == expected_in_batches("unguided")
    assert (await running).sha256 == expected_in_batches("many steps")
    assert not seen.has_begun("waiting")


async def test_what_would_be_too_much_to_keep_is_refused_while_others_wait(
    device: Device, seen: Seen, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    device.lets_wait(MEBIBYTE)
    device.hold("step")
    running = asyncio.create_task(answered(batching_client, CASES["many steps"], "running"))
    await seen.before("step", ["running"])
    waiting = asyncio.create_task(answered(batching_client, CASES["half of an image"], "waiting"))
    await seen.prepared("waiting")
    reason = rf"\d{{7}} bytes of requests would wait, it takes {MEBIBYTE}"
    async with asyncio.timeout(LIMIT_S):
        await require_refusal(batching_client, LARGE, "full", reason, id="large")
    device.release("step")
    assert (await running).sha256 == expected_in_batches("many steps")
    assert (await waiting).sha256 == expected_in_batches("half of an image")
    alone = await answered(batching_client, LARGE, "alone")
    device.lets_wait(64 * MEBIBYTE)
    assert alone.sha256 == (await answered(batching_client, LARGE, "beside")).sha256
