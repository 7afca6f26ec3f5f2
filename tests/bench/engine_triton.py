"""The engine through the real Triton server, next to its own functions in a bare loop of another process, in turn."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from continuity.inference.client import TritonClient
from continuity.inference.tensors import bytes_tensor
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model
from services.embedded.triton import embedded_triton
from services.rendering.adapters.sdxl_tensors import SDXL
from tests.bench.engine_threads import busiest, spent

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
STEPS = 20
SIZES = ((256, 256), (576, 448))
"""Of two classes, so that neighbours share no batch: the bare loop draws one after the other."""
SHORT, SUSTAINED = 2, 12
"""Requests of a round: its beginning and end, when the device has nothing to do, are shared by so many."""
IN_FLIGHT = 4
ROUNDS = {SHORT: 8, SUSTAINED: 6}


def run(rounds: Mapping[int, int] = ROUNDS) -> dict[str, dict[str, float]]:
    """Return the throughput through Triton over that of the bare loop, for rounds of so many requests each.

    ``by_processor_time`` leaves out what both wait for processors that others have.
    """
    with tempfile.TemporaryDirectory(prefix="continuity-engine-") as home:
        return asyncio.run(_run(Path(home), rounds))


async def _run(home: Path, rounds: Mapping[int, int]) -> dict[str, dict[str, float]]:
    settings = Settings(home=home, renderer="sdxl-tiny", engine_device="cpu")
    await make_tiny_model(settings)
    server, _ = embedded_triton(settings)
    await server.start()
    figures = {}
    try:
        async with TritonClient(server.address) as client:
            with ExitStack() as stack:
                bare = stack.enter_context(_bare(settings.models_folder))
                await _round(client, bare, 0, SHORT)
                for size, count in rounds.items():
                    name = f"through Triton against a bare loop, rounds of {size}"
                    figures[name] = await _compared(client, bare, size, count)
    finally:
        await server.stop()
    return figures


class Round(NamedTuple):
    """Seconds of the same requests both ways; ``cpu`` on a processor, ``asleep`` neither there nor waiting for one."""

    bare_s: float
    bare_cpu_s: float
    triton_s: float
    device_cpu_s: float
    device_asleep_s: float


async def _compared(client: TritonClient, bare: subprocess.Popen[str], size: int, rounds: int) -> dict[str, float]:
    each = [await _round(client, bare, number, size) for number in range(1, rounds + 1)]
    total = Round(*map(sum, zip(*each, strict=True)))
    return {
        "throughput_ratio": round(total.bare_s / total.triton_s, 3),
        "target": 0.98,
        "by_processor_time": round(total.bare_cpu_s / (total.device_cpu_s + total.device_asleep_s), 3),
        "device_asleep_share": round(total.device_asleep_s / total.triton_s, 4),
        "requests": float(size * rounds),
    }


async def _round(client: TritonClient, bare: subprocess.Popen[str], number: int, size: int) -> Round:
    """Draw requests that nobody had before in both ways."""
    specs = [_spec(size * number + each) for each in range(size)]
    bare_s, bare_cpu_s = await asyncio.to_thread(_bare_seconds, bare, specs)
    free = asyncio.Semaphore(IN_FLIGHT)
    before, began_s = spent(), time.perf_counter()
    await asyncio.gather(*(_drawn(client, spec, free) for spec in specs))
    triton_s = time.perf_counter() - began_s
    device = busiest(before, spent())
    return Round(bare_s, bare_cpu_s, triton_s, device.running_s, triton_s - device.running_s - device.queued_s)


async def _drawn(client: TritonClient, spec: dict[str, Any], free: asyncio.Semaphore) -> None:
    inputs = {"spec": bytes_tensor(json.dumps(spec).encode())}
    pictures = 0
    async with free:
        async for response in client.stream(SDXL, inputs, request_id=spec["id"], timeout_s=300):
            pictures += "image" in response
    assert pictures == 1


def _spec(number: int) -> dict[str, Any]:
    width_px, height_px = SIZES[number % 2]
    return {
        "id": f"r{number}", "checkpoint": "sdxl-tiny", "prompt": f"boat number {number}", "seed": number,
        "steps": STEPS, "width_px": width_px, "height_px": height_px, "guidance": 5.0, "preview_every": 5,
    }  # fmt: skip


def _bare(models: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(PYTHON), "-m", "tests.bench.engine_bare", str(models)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as the server is: systems share their processors out between sessions
    )


def _bare_seconds(bare: subprocess.Popen[str], specs: list[dict[str, Any]]) -> tuple[float, float]:
    assert bare.stdin and bare.stdout
    bare.stdin.write(json.dumps(specs) + "\n")
    bare.stdin.flush()
    wall_s, cpu_s = json.loads(bare.stdout.readline())
    return wall_s, cpu_s
