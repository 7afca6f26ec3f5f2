"""Who takes the device from a request that has begun, and when, among those of equal priority."""

from __future__ import annotations

import asyncio

import pytest

from continuity.inference.client import TritonClient
from tests.integration.engine.asking import answered, begun, left
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import Device
from tests.integration.engine.seen import Seen

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

LONG, SHORT = CASES["twenty steps"], CASES["unguided"]
"""They share no batch."""
STEPS, SHORT_STEPS, TURN = 20, 2, 5
SLOW = Case({"steps": 1, "width_px": 320, "hires": {"scale": 1.5, "strength": 1.0, "steps": 150}})
"""Outlasts the near deadline. A deadline is in danger for two steps at least, so steps are to be long."""
NEAR_S, FAR_S, LOST_S = 5.0, 3600.0, 0.001


async def test_a_deadline_in_danger_overtakes_and_one_that_is_far_or_lost_does_not(
    seen: Seen, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    await answered(batching_client, SHORT, "earlier")  # so that the engine knows how long it takes
    slow = await begun(batching_client, SLOW, "slow", step=2)
    far = asyncio.create_task(answered(batching_client, CASES["many steps"], "far", deadline_s=FAR_S))
    lost = asyncio.create_task(answered(batching_client, CASES["another seed"], "lost", deadline_s=LOST_S))
    await seen.prepared("far", "lost")
    near = await answered(batching_client, SHORT, "near", deadline_s=NEAR_S)
    assert not slow.done()
    whose = [unit.requests for unit in seen.units()]
    steps = whose[whose.index(["slow"]) :]
    assert set(map(tuple, steps[: _last(steps, "near")])) == {("slow",), ("near",)}
    await left(slow)
    assert near.sha256 == expected_in_batches("unguided")
    assert (await far).sha256 == expected_in_batches("many steps")
    assert (await lost).sha256 == expected_in_batches("another seed")


def _last(whose: list[list[str]], id: str) -> int:
    return max(place for place, each in enumerate(whose) if each == [id])


async def test_another_project_takes_the_device_five_steps_after_the_last_change(
    device: Device, seen: Seen, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    device.hold("step")
    long = asyncio.create_task(answered(batching_client, LONG, "long", project="A"))
    await seen.before("step", ["long"])
    first = asyncio.create_task(answered(batching_client, SHORT, "first", project="B"))
    await seen.prepared("first")
    device.hold("decode")
    device.release("step")
    await seen.before("decode", ["first"])
    device.hold("step")
    device.release("decode")
    await seen.before("step", ["long"])
    second = asyncio.create_task(answered(batching_client, SHORT, "second", project="C"))
    await seen.prepared("second")
    device.release("step")
    answers = await asyncio.gather(long, first, second)
    turns = [*["long"] * TURN, *["first"] * SHORT_STEPS, *["long"] * TURN, *["second"] * SHORT_STEPS]
    assert seen.steps() == [*turns, *["long"] * (STEPS - 2 * TURN)]
    wanted = [expected_in_batches(name) for name in ("twenty steps", "unguided", "unguided")]
    assert [each.sha256 for each in answers] == wanted


@pytest.mark.parametrize(
    ("waiting", "project"),
    [(SHORT, "A"), (Case({"steps": 150, "guidance": 1.0}), "B")],
    ids=["a shorter one of its own project", "another project's that would be done later"],
)
async def test_who_has_begun_is_done_before(
    device: Device, seen: Seen, batching_client: TritonClient, waiting: Case, project: str
) -> None:
    device.hold("step")
    long = asyncio.create_task(answered(batching_client, LONG, "long", project="A"))
    await seen.before("step", ["long"])
    other = asyncio.create_task(answered(batching_client, waiting, "other", project=project))
    await seen.prepared("other")
    device.release("step")
    await long
    await left(other)
    assert seen.steps()[:STEPS] == ["long"] * STEPS
