"""Requests that come at random, and what scheduling makes of their waiting, in time that is counted, not waited for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, quantiles

from engine.loop.costs import Costs
from engine.loop.job import Job
from engine.loop.policy import Chooser, Policy
from engine.work import Unit

STEPS = (10, 20, 30, 50)
SHORT = 10
LOAD = 0.8
OTHER_UNITS = 3
"""Units of a request beside its steps: load, encode, decode."""


@dataclass(frozen=True)
class Ask:
    """One request of a trace."""

    came_s: float
    steps: int
    priority: int = 50
    project: str = "film"

    def urgent(self) -> Ask:
        """A short one is what a person waits for."""
        return replace(self, priority=80) if self.steps == SHORT else self


def poisson(count: int, unit_s: float, seed: int, projects: Sequence[str]) -> list[Ask]:
    """Return a trace that takes ``LOAD`` of a device whose units take ``unit_s``."""
    chance, came_s, asks = random.Random(seed), 0.0, []
    between_s = (mean(STEPS) + OTHER_UNITS) * unit_s / LOAD
    for _ in range(count):
        came_s += chance.expovariate(1 / between_s)
        asks.append(Ask(came_s, chance.choice(STEPS), project=chance.choice(projects)))
    return asks


class WholeImages:
    """What the policy is measured against: who came first is drawn to the end."""

    def __init__(self, _slots: object) -> None: ...

    def choose(self, jobs: Sequence[Job], _now_s: float, may_start: Callable[[Job], bool]) -> list[Job]:
        ready = [job for job in jobs if job.started or may_start(job)]
        return [min(ready, key=lambda job: (not job.started, job.arrived_s))] if ready else []

    def ran(self, _batch: Sequence[Job], _took_s: float, _now_s: float) -> None: ...


def chooser(kind: str, unit_s: float) -> Chooser:
    return WholeImages(None) if kind == "fifo" else Policy(lambda _group: 1, costs=Costs(unit_s))


def simulated(asks: Sequence[Ask], unit_s: float, policy: Chooser) -> list[float]:
    """Return the seconds from asking to the end, by request, of a device with one slot."""
    waiting = [(ask.came_s, number, ask) for number, ask in enumerate(asks)][::-1]
    present: dict[Job, tuple[int, int]] = {}
    latencies, now_s = [0.0] * len(asks), 0.0
    while waiting or present:
        if not present:
            now_s = max(now_s, waiting[-1][0])
        while waiting and waiting[-1][0] <= now_s:
            _, number, ask = waiting.pop()
            job = Job(str(number), ask.project, ask.priority, ask.came_s, None, 0, 1, _unit(ask, 0), now_s)
            present[job] = (number, 0)
        (job,) = policy.choose(list(present), now_s, lambda _job: True)
        now_s += unit_s
        policy.ran([job], unit_s, now_s)
        job.started = True
        number, done = present[job]
        if done + 1 < asks[number].steps + OTHER_UNITS:
            present[job] = (number, done + 1)
            job.unit = _unit(asks[number], done + 1)
        else:
            del present[job]
            latencies[number] = now_s - asks[number].came_s
    return latencies


def _unit(ask: Ask, done: int) -> Unit:
    phase = "load" if done == 0 else "encode" if done == 1 else "step" if done < ask.steps + 2 else "decode"
    return Unit(phase, 0, ask.steps + OTHER_UNITS - done)


def summary(asks: Sequence[Ask], latencies: Sequence[float], total_s: float) -> dict[str, float]:
    short = [latency for ask, latency in zip(asks, latencies, strict=True) if ask.steps == SHORT]
    return {
        "short_p99_s": quantiles(short, n=100, method="inclusive")[98],
        "mean_s": mean(latencies),
        "total_s": total_s,
    }


def ratios(step: dict[str, float], fifo: dict[str, float]) -> dict[str, float]:
    """Return the policy's figures against those of whole images; throughput is requests a second, so inverse."""
    return {
        "short_p99_ratio": round(step["short_p99_s"] / fifo["short_p99_s"], 3),
        "mean_ratio": round(step["mean_s"] / fifo["mean_s"], 3),
        "throughput_ratio": round(fifo["total_s"] / step["total_s"], 3),
    }
