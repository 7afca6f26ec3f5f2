"""An engine that stops amid a step, with requests of other people behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable
from continuity.inference.server import TritonServer
from engine.crashes import crashes_path
from services.rendering.adapters.sdxl_tensors import SDXL
from tests.integration.engine.asking import ENDLESS, Answer, answered, begun, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

LIMIT_S = 240.0


async def stopped_amid_a_step(state: Path) -> int:
    """Stop the engine while a step runs, and let that step have been due long ago; return the engine's process id."""
    async with asyncio.timeout(LIMIT_S):
        while (told := json.loads(state.read_bytes()))["phase"] != "step":
            await asyncio.sleep(0)
    os.kill(told["pid"], signal.SIGSTOP)
    told = json.loads(state.read_bytes())
    state.write_bytes(json.dumps(told | {"limit_s": 0.1}).encode().ljust(512))
    return int(told["pid"])


async def until_it_serves_again(server: TritonServer, client: TritonClient, dead: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while dead in server.stubs() or not await client.ready(SDXL.name):
            await asyncio.sleep(0.05)


async def ends_unavailable(task: asyncio.Task[Answer]) -> None:
    with pytest.raises(RendererUnavailable):
        await task


async def test_a_hang_hands_everybody_back_and_only_whose_step_ran_is_told(
    watched: TritonServer, tmp_path: Path, expected: Expected
) -> None:
    state = tmp_path / "engine-state.json"
    async with TritonClient(watched.address) as client:
        waiting = asyncio.create_task(answered(client, CASES["plain"], "waiting", priority=0))
        running = await begun(client, ENDLESS, "running", priority=90, width_px=512, height_px=288)
        hung = await stopped_amid_a_step(state)
        await ends_unavailable(running)
        await ends_unavailable(waiting)
        await until_it_serves_again(watched, client, hung)
        assert (await answered(client, CASES["plain"], "waiting")).sha256 == expected("plain")
        await require_refusal(client, CASES["plain"], "crashed", "the engine died over it 1 times", id="running")
    assert json.loads(crashes_path(state).read_bytes()) == {"running": [1, 1]}
