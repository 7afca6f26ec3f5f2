"""How many requests are best drawn together where one alone does not fill the GPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from engine.drawing.evaluation import Row, batch, evaluate
from engine.drawing.expert import time_ids
from engine.kernels.port import Kernels
from engine.text.encoding import encode
from tests.bench.gpu.clock import seconds
from tests.bench.gpu.requests import prepared
from tests.bench.gpu.sections import Bench

SIZES = ((512, 512), (768, 512))
SLOTS = (1, 2, 4, 8)


def slots(bench: Bench, kernels: Kernels) -> dict[str, Any]:
    """Return the seconds of a guided step by size and slots, and per picture: what full batches gain, lone ones pay."""
    return {f"{width}x{height}": {k: _step(bench, kernels, width, height, k) for k in SLOTS} for width, height in SIZES}


def _step(bench: Bench, kernels: Kernels, width: int, height: int, k: int) -> dict[str, float]:
    width, height = (each * bench.side_px // 1024 for each in (width, height))
    asked = prepared(height, 2, 1, width_px=width, sharing=k)
    text = encode(bench.checkpoint, asked.tokens)
    latent = torch.randn(1, 4, height // 8, width // 8).to(bench.torch_device)
    pooled = None if text.pooled is None else torch.cat([text.negative_pooled, text.pooled])
    timestep, ids = torch.tensor([500.0], device=bench.torch_device), time_ids(bench.checkpoint, asked.shape)
    row = Row(bench.checkpoint, (), latent, timestep, torch.cat([text.negative, text.prompt]), pooled, ids)
    inputs, call = batch(asked.shape, [row] * k), partial(evaluate, bench.checkpoint)
    with torch.no_grad():
        took = seconds(bench.torch_device, lambda: kernels.run(("slots", asked.shape), call, inputs), bench.times, 3)
    return {"step_s": took["median_s"], "step_s_per_picture": took["median_s"] / k}
