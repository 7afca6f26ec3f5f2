"""Requests that come at random, drawn by steps and as whole pictures, on this GPU and in its own time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import mean
from typing import Any

from engine.drawing.drawer import Drawer
from engine.kernels.port import Kernels
from engine.loop.job import Job
from engine.work import Finished
from tests.bench.engine_trace import OTHER_UNITS, STEPS, Ask, chooser, poisson, ratios, summary
from tests.bench.gpu.clock import finished
from tests.bench.gpu.requests import drawer, prepared
from tests.bench.gpu.sections import Bench

SEED = 6


def trace(bench: Bench, kernels: Kernels, count: int) -> dict[str, Any]:
    """Return both ways' figures and their ratios; short requests are what a person waits for."""
    executor = drawer(bench.checkpoint, bench.device, kernels)
    unit_s = _unit_s(executor, bench)
    asks = poisson(count, unit_s, SEED, ["film"])
    found = {kind: _drawn(executor, bench, asks, unit_s, kind) for kind in ("fifo", "steps")}
    return {"requests": count, "unit_s": unit_s, **found, "ratios": ratios(found["steps"], found["fifo"])}


def _unit_s(executor: Drawer, bench: Bench) -> float:
    """Return the mean time of a unit of a picture of mean length, kernels having been made before."""
    steps = round(mean(STEPS))
    for _ in range(2):
        began = finished(bench.torch_device)
        work = executor.begin(prepared(bench.side_px, steps))
        while not any(isinstance(each, Finished) for each in _advanced(executor, [work])[0]):
            pass
        work.close()
        took = finished(bench.torch_device) - began
    return took / (steps + OTHER_UNITS)


def _drawn(executor: Drawer, bench: Bench, asks: Sequence[Ask], unit_s: float, kind: str) -> dict[str, float]:
    policy, works, latencies = chooser(kind, unit_s), {}, [0.0] * len(asks)
    waiting, began = list(enumerate(asks))[::-1], time.perf_counter()
    while waiting or works:
        now_s = time.perf_counter() - began
        if not works and waiting[-1][1].came_s > now_s:
            time.sleep(waiting[-1][1].came_s - now_s)
            continue
        while waiting and waiting[-1][1].came_s <= now_s:
            number, ask = waiting.pop()
            work = executor.begin(prepared(bench.side_px, ask.steps, number))
            works[Job(work.id, ask.project, ask.priority, ask.came_s, None, 0, 1, work.next, now_s)] = number, work
        (job,) = policy.choose(list(works), now_s, lambda _job: True)
        number, work = works[job]
        (outcome,) = _advanced(executor, [work])
        ended_s = time.perf_counter() - began
        policy.ran([job], ended_s - now_s, ended_s)
        job.started = True
        if any(isinstance(each, Finished) for each in outcome):
            del works[job]
            work.close()
            latencies[number] = ended_s - asks[number].came_s
        else:
            job.unit = work.next
    return summary(asks, latencies, time.perf_counter() - began)


def _advanced(executor: Drawer, works: Sequence[Any]) -> list[Any]:
    outcomes = executor.run(works)
    for each in outcomes:
        if isinstance(each, Exception):
            raise each
    return list(outcomes)
