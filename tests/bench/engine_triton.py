"""The engine through the real Triton server, next to its own functions in a bare loop of another process, in turn."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from continuity.inference.client import TritonClient
from continuity.inference.tensors import bytes_tensor
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model
from services.embedded.triton import embedded_triton
from services.rendering.adapters.sdxl_tensors import SDXL

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
ROUNDS = 12
STEPS = 20
SIZES = ((256, 256), (576, 448))
"""Of two classes, so that the two requests of a round share no batch: the bare loop draws one after the other."""


def run(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Return the throughput through Triton over that of the bare loop."""
    with tempfile.TemporaryDirectory(prefix="continuity-engine-") as home:
        return asyncio.run(_run(Path(home), rounds))


async def _run(home: Path, rounds: int) -> dict[str, dict[str, float]]:
    settings = Settings(home=home, renderer="sdxl-tiny", engine_device="cpu")
    await make_tiny_model(settings)
    server, _ = embedded_triton(settings)
    await server.start()
    try:
        async with TritonClient(server.address) as client:
            with ExitStack() as stack:
                return await _compared(client, stack.enter_context(_bare(settings.models_folder)), rounds)
    finally:
        await server.stop()


async def _compared(client: TritonClient, bare: subprocess.Popen[str], rounds: int) -> dict[str, dict[str, float]]:
    triton_s, bare_s = [], []
    for number in range(rounds + 1):
        specs = [_spec(2 * number + each) for each in range(2)]
        bare_s.append(await asyncio.to_thread(_bare_seconds, bare, specs))
        began_s = time.perf_counter()
        await asyncio.gather(*(_drawn(client, spec) for spec in specs))
        triton_s.append(time.perf_counter() - began_s)
    ratio = sum(bare_s[1:]) / sum(triton_s[1:])
    figures = {"throughput_ratio": round(ratio, 3), "target": 0.98, "requests": 2.0 * rounds}
    return {"through Triton against a bare loop": figures}


async def _drawn(client: TritonClient, spec: dict[str, Any]) -> None:
    inputs = {"spec": bytes_tensor(json.dumps(spec).encode())}
    pictures = 0
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
    )


def _bare_seconds(bare: subprocess.Popen[str], specs: list[dict[str, Any]]) -> float:
    assert bare.stdin and bare.stdout
    bare.stdin.write(json.dumps(specs) + "\n")
    bare.stdin.flush()
    return float(json.loads(bare.stdout.readline()))
