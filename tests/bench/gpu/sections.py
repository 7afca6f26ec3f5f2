"""What is measured, one function a table. Every one returns plain values for the JSON file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from engine.checkpoint import Checkpoint
from engine.drawing.autoencoder import decode
from engine.drawing.drawer import Drawer
from engine.drawing.evaluation import Group, Row, batch, evaluate, shares
from engine.drawing.expert import time_ids
from engine.drawing.loop import reference_loop
from engine.kernels.port import Kernels
from engine.samplers import sampler
from engine.text.encoding import encode
from tests.bench.gpu.clock import finished, seconds
from tests.bench.gpu.requests import drawer, prepared, tokens
from tests.bench.gpu.stock import Stock

Table = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """One run: what is drawn with, where, and how large."""

    checkpoint: Checkpoint
    device: Any
    side_px: int
    steps: tuple[int, ...]
    times: int

    @property
    def torch_device(self) -> torch.device:
        """Where tensors go."""
        return self.checkpoint.device


def unet_inputs(bench: Bench, seed: int = 1) -> dict[str, torch.Tensor]:
    """Return the tensors of one guided evaluation in the engine's batch shape."""
    asked = prepared(bench.side_px, bench.steps[0], seed)
    text = encode(bench.checkpoint, asked.tokens)
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(1, 4, bench.side_px // 8, bench.side_px // 8, generator=generator).to(bench.torch_device)
    pooled = None if text.pooled is None else torch.cat([text.negative_pooled, text.pooled])
    timestep = torch.tensor([500.0], device=bench.torch_device)
    ids = time_ids(bench.checkpoint, asked.shape)
    row = Row(bench.checkpoint, (), latent, timestep, torch.cat([text.negative, text.prompt]), pooled, ids)
    return batch(asked.shape, [row])


def unet_group(bench: Bench) -> tuple[Hashable, ...]:
    """Return what the engine keeps the kernels of these pictures under, so that none are made a second time."""
    shape, checkpoint = prepared(bench.side_px, bench.steps[0]).shape, bench.checkpoint
    return Group(shape, checkpoint.sha256, checkpoint.sha256, "", str(checkpoint.dtype)).kernels


def health(bench: Bench) -> Table:
    """Random weights measure speed only while activations stay healthy: their spread, through UNet and VAE."""
    with torch.no_grad():
        output = evaluate(bench.checkpoint, **unet_inputs(bench)).float()
        latent = torch.randn(1, 4, bench.side_px // 8, bench.side_px // 8).to(bench.torch_device) * 0.13
        picture = decode(bench.checkpoint, latent)
    found = {"unet_std": output.std().item(), "vae_std": picture.std().item()}
    if not all(1e-3 < each < 1e3 for each in found.values()):
        raise AssertionError(f"activations are not healthy: {found}")
    return found


@dataclass(frozen=True)
class Reference:
    """What one evaluation gives in float32, and what stock diffusers gives in the checkpoint's dtype."""

    exact: torch.Tensor
    stock: torch.Tensor


def reference(bench: Bench, exact: Callable[[], Checkpoint]) -> Reference:
    """Evaluate both, before anything was done to the checkpoint; ``exact`` makes it again in float32."""
    inputs = unet_inputs(bench)
    added = {"text_embeds": inputs["pooled"], "time_ids": inputs["time_ids"]}
    with torch.no_grad():
        stock = bench.checkpoint.unet(
            inputs["sample"], inputs["timesteps"], encoder_hidden_states=inputs["prompt"], added_cond_kwargs=added
        ).sample.float()
        truth = evaluate(exact(), **{name: each.float() for name, each in inputs.items()}).float()
    return Reference(truth, stock)


def precision(bench: Bench, known: Reference, kernels: Kernels) -> Table:
    """Distance of one evaluation from float32, root mean square over that of float32: the engine's and stock's.

    Empty slots are left out: what comes of nothing but zeros is noise of rounding. Where stock's is zero, no ratio.
    """
    with torch.no_grad():
        ours = kernels.run(unet_group(bench), partial(evaluate, bench.checkpoint), unet_inputs(bench)).float()
    shape = prepared(bench.side_px, bench.steps[0]).shape
    ours, exact, usual = (torch.cat(shares(each, shape, slot=0)) for each in (ours, known.exact, known.stock))
    square = exact.pow(2).mean()
    errors = [((each - exact).pow(2).mean() / square).sqrt().item() for each in (ours, usual)]
    return {"engine": errors[0], "stock": errors[1], "ratio": errors[0] / errors[1] if errors[1] else None}


def stock(bench: Bench) -> Table:
    """diffusers' pipeline, eager, at batch 1."""
    pipeline = Stock(bench.checkpoint)
    return {f"{steps} steps": _rated(bench, partial(pipeline.draw, bench.side_px, steps, 1)) for steps in bench.steps}


def engine(bench: Bench, kernels: Kernels | None = None) -> Table:
    """The engine's units one after another; what is compiled is compiled before."""
    executor = drawer(bench.checkpoint, bench.device, kernels)
    return {
        f"{steps} steps": _rated(bench, lambda steps=steps: reference_loop(executor, prepared(bench.side_px, steps)))
        for steps in bench.steps
    }


def phases(bench: Bench, kernels: Kernels) -> Table:
    """Where the time of one picture goes."""
    inputs, call = unet_inputs(bench), partial(evaluate, bench.checkpoint)
    side = bench.side_px // 8
    latent = torch.randn(1, 4, side, side).to(bench.torch_device) * 0.13
    through = partial(decode, bench.checkpoint)
    group = ("decode", bench.checkpoint.sha256, str(bench.checkpoint.vae.dtype), side, side)
    noise = np.random.default_rng(1).integers(0, 255, (bench.side_px, bench.side_px, 3), np.uint8)
    acts: dict[str, Callable[[], object]] = {
        "encode": lambda: encode(bench.checkpoint, tokens(1)),
        "unet, guided": lambda: kernels.run(unet_group(bench), call, inputs),
        "sampler": _sampler_step(bench),
        "vae": lambda: kernels.run(group, through, {"latent": latent}),
        "png, zlib level 1, another process's work": lambda: zlib.compress(noise.tobytes(), 1),
    }
    with torch.no_grad():
        return {name: seconds(bench.torch_device, act, bench.times, warm_ups=3) for name, act in acts.items()}


def overhead(bench: Bench, kernels: Kernels) -> Table:
    """What a step costs beside its UNet call."""
    inputs, call = unet_inputs(bench), partial(evaluate, bench.checkpoint)
    steps = max(bench.steps)
    executor = drawer(bench.checkpoint, bench.device, kernels)
    with torch.no_grad():
        bare = seconds(bench.torch_device, lambda: kernels.run(unet_group(bench), call, inputs), steps, warm_ups=3)
    times = _step_times(executor, bench, steps)
    return {"unet_s": bare["median_s"], "step_s": times, "overhead_s": times - bare["median_s"]}


def _rated(bench: Bench, act: Callable[[], object]) -> Table:
    took = seconds(bench.torch_device, act, bench.times)
    return took | {"images_per_s": 1 / took["median_s"]}


def _sampler_step(bench: Bench) -> Callable[[], object]:
    shape = (1, 4, bench.side_px // 8, bench.side_px // 8)
    latent = torch.randn(shape).to(bench.torch_device)

    def act() -> object:
        one = sampler("euler", "normal", 20, bench.checkpoint.scheduler_config, 1)
        return one.step(latent, 0, one.scaled(latent, 0))

    return act


def _step_times(executor: Drawer, bench: Bench, steps: int) -> float:
    """Return the mean time of a step, the first and the last left out."""
    work = executor.begin(prepared(bench.side_px, steps))
    marks: list[float] = []
    while work.next.phase != "decode":
        phase = work.next.phase
        (outcome,) = executor.run([work])
        if isinstance(outcome, Exception):
            raise outcome
        if phase == "step" and len(marks) < 2:
            marks.append(finished(bench.torch_device))
    end = finished(bench.torch_device)
    work.close()
    return (end - marks[1]) / (steps - 2)
