"""A system that gives the engine no memory any more: everybody hears an end, and the next one is drawn."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.server import TritonServer
from services.rendering.adapters.sdxl_tensors import SDXL
from tests.integration.engine.asking import Answer, answered
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.device import MEBIBYTE

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

LIMIT_S = 240.0
BESIDE = ("many steps", "two people", "a LoRA", "half of an image")
LARGE = Case({"steps": 1, "hires": {"scale": 4.0, "strength": 0.5, "steps": 2}})
"""One of the tensors that a megapixel goes through the autoencoder as wants more than any room below."""


@contextmanager
def limited(pid: int, room_bytes: int) -> Iterator[None]:
    """Let the system give a process so much memory more and then none; it may die of that."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room_bytes
    before = resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, before)


async def served(client: TritonClient) -> Answer:
    """Ask for a picture until an engine is there to draw it."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            with suppress(RendererUnavailable):
                return await answered(client, CASES["plain"])
            while not await client.ready(SDXL.name):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("room_mb", [60, 0])
async def test_everybody_hears_an_end_and_the_next_one_is_drawn(
    watched: TritonServer, tmp_path: Path, expected: Expected, room_mb: int
) -> None:
    state = tmp_path / "engine-state.json"
    async with TritonClient(watched.address) as client:
        assert (await served(client)).sha256 == expected("plain")
        with limited(json.loads(state.read_bytes())["pid"], room_mb * MEBIBYTE):
            asked = [answered(client, CASES[name], name.replace(" ", "-")) for name in BESIDE]
            large, *beside = await asyncio.gather(answered(client, LARGE, "large"), *asked, return_exceptions=True)
        assert is_told_or_handed_back(large)
        for name, each in zip(BESIDE, beside, strict=True):
            assert is_told_or_handed_back(each) or each.sha256 == expected(name)
        assert (await served(client)).sha256 == expected("plain")


def is_told_or_handed_back(outcome: Answer | BaseException) -> bool:
    """Tell whether memory was a request's error, or an engine that could not even tell has ended over it."""
    if isinstance(outcome, RenderRefused):
        return outcome.detail.startswith(("[memory] ", "[cancelled] "))
    return isinstance(outcome, RendererUnavailable)
