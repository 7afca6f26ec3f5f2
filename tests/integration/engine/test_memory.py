"""A device with little memory: who wants too much is told so alone, and what is unused leaves."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from services.embedded.settings import Settings
from tests.integration.engine.asking import answered, begun, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import MEBIBYTE, Device

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"
ENOUGH_FOR_ONE = 100 * MEBIBYTE
"""A step of four at 256 pixels wants 53 of them, one at 384 pixels 121."""
LARGE = Case({"steps": 20, "hires": {"scale": 1.5, "strength": 0.5, "steps": 2}})

VERY_LARGE = Case({"steps": 1, "hires": {"scale": 4.0, "strength": 0.5, "steps": 2}})
LITTLE = 60 * MEBIBYTE
"""Less than one of the tensors that a megapixel goes through the autoencoder as."""


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


@contextmanager
def limited(pid: int, room_bytes: int) -> Iterator[None]:
    """Let the system give a process so much memory more and then none."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room_bytes
    before = resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


async def test_memory_that_the_system_refuses_is_the_error_of_who_wanted_it(
    client: TritonClient, settings: Settings, expected: Expected
) -> None:
    await answered(client, CASES["plain"])
    engine = json.loads(settings.engine_state_path.read_bytes())["pid"]
    with limited(engine, LITTLE):
        large = asyncio.create_task(answered(client, VERY_LARGE, "large"))
        assert (await answered(client, CASES["many steps"], "beside")).sha256 == expected("many steps")
        with pytest.raises(RenderRefused, match=r"\[memory\] \w+: "):
            await large
    assert (await answered(client, CASES["plain"])).sha256 == expected("plain")


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
