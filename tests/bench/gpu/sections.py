"""What is measured, one function a table. Every one returns plain values for the JSON file."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from engine.checkpoint import Checkpoint
from engine.drawing.autoencoder import decode
from engine.drawing.drawer import Drawer
from engine.drawing.evaluation import Row, batch, evaluate
from engine.drawing.expert import time_ids
from engine.drawing.loop import reference_loop
from engine.kernels.compiled import Compiled
from engine.kernels.port import Kernels
from engine.samplers import sampler
from engine.text.encoding import encode
from engine.work import Finished, Picture
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


def precision(bench: Bench, reference: Checkpoint) -> Table:
    """Distance from float32 of one evaluation: the engine's call and stock's, root mean square over that of float32."""
    inputs = unet_inputs(bench)
    exact = {name: each.to(reference.dtype) for name, each in inputs.items()}
    with torch.no_grad():
        truth = evaluate(reference, **exact).float()
        ours = evaluate(bench.checkpoint, **inputs).float()
        added = {"text_embeds": inputs["pooled"], "time_ids": inputs["time_ids"]}
        stock = bench.checkpoint.unet(
            inputs["sample"], inputs["timesteps"], encoder_hidden_states=inputs["prompt"], added_cond_kwargs=added
        ).sample.float()
    errors = [((each - truth).pow(2).mean() / truth.pow(2).mean()).sqrt().item() for each in (ours, stock)]
    return {"engine": errors[0], "stock": errors[1], "ratio": errors[0] / errors[1] if errors[1] else 1.0}


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
    latent = torch.randn(1, 4, bench.side_px // 8, bench.side_px // 8).to(bench.torch_device) * 0.13
    through = partial(decode, bench.checkpoint)
    noise = np.random.default_rng(1).integers(0, 255, (bench.side_px, bench.side_px, 3), np.uint8)
    acts: dict[str, Callable[[], object]] = {
        "encode": lambda: encode(bench.checkpoint, tokens(1)),
        "unet, guided": lambda: kernels.run(("phases", "unet"), call, inputs),
        "sampler": _sampler_step(bench),
        "vae": lambda: kernels.run(("phases", "vae"), through, {"latent": latent}),
        "png, zlib level 1, another process's work": lambda: zlib.compress(noise.tobytes(), 1),
    }
    with torch.no_grad():
        return {name: seconds(bench.torch_device, act, bench.times, warm_ups=3) for name, act in acts.items()}


def company(bench: Bench, kernels: Kernels | None) -> Table:
    """The same requests alone and in shuffled company, one a batch and, at half the side, four: equal pictures."""
    executor = drawer(bench.checkpoint, bench.device, kernels)
    found: Table = {}
    for side_px in (bench.side_px, bench.side_px // 2):
        names = ("euler", "dpmpp-2m", "dpmpp-2m-sde", "euler")
        requests = [prepared(side_px, min(bench.steps), seed, sampler=name) for seed, name in enumerate(names)]
        alone = [_hash(reference_loop(executor, each)[0]) for each in requests]
        together = [_hash(each) for each in _shuffled(executor, requests, random.Random(7))]
        found[f"{side_px} px"] = {
            "slots": requests[0].shape.slots,
            "requests": len(alone),
            "different": len(set(alone)),
            "equal": sum(a == b for a, b in zip(alone, together, strict=True)),
        }
    return found


def overhead(bench: Bench, kernels: Kernels) -> Table:
    """What a step costs beside its UNet call."""
    inputs, call = unet_inputs(bench), partial(evaluate, bench.checkpoint)
    steps = max(bench.steps)
    executor = drawer(bench.checkpoint, bench.device, kernels)
    with torch.no_grad():
        bare = seconds(bench.torch_device, lambda: kernels.run(("overhead",), call, inputs), steps, warm_ups=3)
    times = _step_times(executor, bench, steps)
    return {"unet_s": bare["median_s"], "step_s": times, "overhead_s": times - bare["median_s"]}


def tuned(mode: str, sha256: str = "") -> Compiled:
    """Return kernels that are compiled in a mode."""
    return Compiled(sha256, mode)


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


def _shuffled(executor: Drawer, requests: list[Any], draw: random.Random) -> list[Picture]:
    works = {i: executor.begin(each) for i, each in enumerate(requests)}
    pictures: dict[int, Picture] = {}
    while works:
        chosen = _mates(executor, works, draw)
        for i, outcome in zip(chosen, executor.run([works[i] for i in chosen]), strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            for each in outcome:
                if isinstance(each, Picture):
                    pictures[i] = each
                elif isinstance(each, Finished):
                    works.pop(i).close()
    return [pictures[i] for i in sorted(pictures)]


def _mates(executor: Drawer, works: dict[int, Any], draw: random.Random) -> list[int]:
    """Return one work by chance and, by chance too, some of those that may share its batch."""
    first = draw.choice(sorted(works))
    group = works[first].next.group
    if group is None:
        return [first]
    mates = [i for i, each in works.items() if i != first and each.next.group == group]
    return [first, *draw.sample(mates, min(len(mates), draw.randrange(executor.slots(group))))]


def _hash(picture: Picture) -> str:
    return hashlib.sha256(picture.pixels.tobytes()).hexdigest()


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
