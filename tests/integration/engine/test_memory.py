"""A device with little memory: who wants too much is told so alone, and what is unused leaves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from tests.integration.engine.asking import answered, begun, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import MEBIBYTE, Device

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"
ENOUGH_FOR_ONE = 100 * MEBIBYTE
"""A step of four at 256 pixels wants 53 of them, one at 384 pixels 121."""
LARGE = Case({"steps": 20, "hires": {"scale": 1.5, "strength": 0.5, "steps": 2}})


async def test_who_wants_more_than_there_is_is_told_so_and_nobody_else(
    device: Device, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    large = await begun(batching_client, LARGE, "large")
    beside = asyncio.create_task(answered(batching_client, CASES["many steps"], "beside"))
    device.has(ENOUGH_FOR_ONE)
    with pytest.raises(RenderRefused, match=r"\[memory\] \w+: the device has \d+ bytes free and the request wants \d+"):
        await large
    assert (await beside).sha256 == expected_in_batches("many steps")


async def test_those_that_find_no_room_together_wait_for_each_other(
    device: Device, batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    device.has(ENOUGH_FOR_ONE)
    names = ("plain", "another seed", "rescaled", "two people", "a LoRA", "half of an image")
    found = await asyncio.gather(*(answered(batching_client, CASES[name], name) for name in names))
    assert [each.sha256 for each in found] == [expected_in_batches(name) for name in names]


@pytest.fixture
def spare(home: Path) -> Iterator[list[str]]:
    """Three checkpoints whose files may be spoilt."""
    names = ["spare-1", "spare-2", "spare-3"]
    for name in names:
        shutil.copytree(home / "models" / "sdxl-tiny", home / "models" / name)
    yield names
    for name in names:
        shutil.rmtree(home / "models" / name)


def spoil(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


async def test_the_checkpoint_longest_unused_leaves_and_the_others_stay(
    home: Path, batching_client: TritonClient, expected_in_batches: Expected, spare: list[str]
) -> None:
    first, second, third = spare
    for name in (first, second, first, third):
        answer = await answered(batching_client, Case({"checkpoint": name}))
        assert answer.sha256 == expected_in_batches("plain")
    for name in spare:  # what is in memory is not read again
        spoil(home / "models" / name / UNET)
    for name in (first, third):
        await answered(batching_client, Case({"checkpoint": name}))
    await require_refusal(batching_client, Case({"checkpoint": second}), "model", "is not what was installed")
