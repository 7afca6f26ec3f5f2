"""Benchmarks of the engine in its own environment: ``python -m tests.bench.engine_run``; the last line is JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from engine import door
from engine.device import CpuDevice
from engine.door import Engine, Limits
from engine.drawing.loop import reference_loop
from engine.loop.policy import Policy
from engine.models.tiny.everything import make_tiny_catalogue
from engine.offload import Workers
from engine.offload.jobs import prepared, warm
from engine.preparation import RawRequest
from engine.shapes import sharing_on
from tests.bench.engine_slots import by_slots
from tests.bench.engine_trace import Ask, WholeImages, chooser, poisson, ratios, simulated, summary

MODELS = ("sdxl-tiny",)
Figures = dict[str, dict[str, float]]
PARTS = 3
LEAST_ASKS = 60


class Ears:
    """Notes when its request ended, and stops it at a step if that is wanted."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.ended = threading.Event()
        self.ended_s = 0.0
        self.cancel_at, self.ticket = cancel_at, None

    def progress(self, step: int, _steps: int, _preview: bytes) -> None:
        if self.ticket and self.cancel_at is not None and step >= self.cancel_at:
            self.ticket.cancel()
            self.cancelled_s = time.perf_counter()

    def picture(self, _picture: Any, _manifest: bytes) -> None: ...

    def failed(self, error: Exception) -> None:
        self.error = error
        self.finished()

    def finished(self) -> None:
        self.ended_s = time.perf_counter()
        self.ended.set()


class OneSlot:
    """A drawer as a full device has it: no two requests share a batch. It keeps the ids of what ran, and when."""

    def __init__(self, drawer: Any) -> None:
        self._drawer = drawer
        self.begin = drawer.begin
        self.log: list[tuple[str, float]] = []

    def slots(self, _group: object) -> int:
        return 1

    def run(self, works: Sequence[Any]) -> Any:
        self.log.append((works[0].id, time.perf_counter()))
        return self._drawer.run(works)


class Place:
    """Models in a folder, a device, and engines on them."""

    def __init__(self, folder: Path, models: tuple[str, ...] = MODELS) -> None:
        self.folder, self.device = folder, CpuDevice(threads=1)
        self.prepare = partial(prepared, str(folder), sharing_on("cpu"))
        make_tiny_catalogue(folder, models)

    @contextmanager
    def engine(self, policy: Any = Policy) -> Iterator[tuple[Engine, OneSlot]]:
        drawer = OneSlot(door._drawer(self.folder, self.device))
        engine = Engine(
            lambda: drawer,
            self.prepare,
            Workers(2, first=warm),
            free_bytes=self.device.free_bytes,
            facts={},
            policy=policy,
            limits=Limits(waiting=100_000),
        )
        try:
            yield engine, drawer
        finally:
            engine.close()


def raw(number: int, steps: int, **more: Any) -> RawRequest:
    spec = {
        "id": f"r{number}", "checkpoint": "sdxl-tiny", "prompt": f"boat number {number}", "seed": number,
        "steps": steps, "width_px": 256, "height_px": 256, "guidance": 1.0, **more,
    }  # fmt: skip
    return RawRequest(json.dumps(spec).encode())


def drawn(engine: Engine, requests: Sequence[RawRequest]) -> float:
    """Return the seconds until all are drawn that were submitted at once."""
    all_ears = [Ears() for _ in requests]
    began_s = time.perf_counter()
    for number, (request, ears) in enumerate(zip(requests, all_ears, strict=True)):
        engine.submit(f"r{number}", request, ears)
    for ears in all_ears:
        ears.ended.wait()
        if error := getattr(ears, "error", None):
            raise error
    return time.perf_counter() - began_s


def counted(count: int) -> Figures:
    """The trace in counted time: much of it, and nothing of this machine in the figures."""
    figures = {}
    for name, projects, urgent in (
        ("short ones urgent", ("film",), True),
        ("all equal", ("film",), False),
        ("five projects, all equal", ("a", "b", "c", "d", "e"), False),
    ):
        asks = [ask.urgent() if urgent else ask for ask in poisson(count, 0.1, 7, projects)]
        both = {}
        for kind in ("step", "fifo"):
            latencies = simulated(asks, 0.1, chooser(kind, 0.1))
            total_s = max(ask.came_s + latency for ask, latency in zip(asks, latencies, strict=True))
            both[kind] = summary(asks, latencies, total_s)
        figures[f"trace counted, {name}"] = ratios(both["step"], both["fifo"])
    return figures


def traced(place: Place, seconds: float) -> Figures:
    """The trace on small weights, about ``seconds`` for each of both ways."""
    with place.engine() as (engine, drawer):
        drawn(engine, [raw(0, 10)])
        began_s = time.perf_counter()
        units = -len(drawer.log)
        drawn(engine, [raw(number, 20) for number in range(3)])
        units += len(drawer.log)
        unit_s = (time.perf_counter() - began_s) / units
    count = max(LEAST_ASKS, int(seconds * 0.8 / (30 * unit_s)))
    asks = [ask.urgent() for ask in poisson(count, unit_s, 11, ("film",))]
    found: dict[str, list[float]] = {"step": [], "fifo": []}
    totals = dict.fromkeys(found, 0.0)
    for part in range(PARTS):  # in turn, so that whatever else the machine does falls on both
        for kind, policy in (("step", Policy), ("fifo", WholeImages)):
            latencies, total_s = _traced(place, _part(asks, part), policy)
            found[kind] += latencies
            totals[kind] += total_s
    ordered = [ask for part in range(PARTS) for ask in _part(asks, part)]
    both = {kind: summary(ordered, latencies, totals[kind]) for kind, latencies in found.items()}
    return {"trace on small weights": {"requests": count, **ratios(both["step"], both["fifo"])}}


def _part(asks: Sequence[Ask], part: int) -> list[Ask]:
    """Return a part of a trace, with its first request at 0."""
    size = -(-len(asks) // PARTS)
    own = asks[part * size : (part + 1) * size]
    return [replace(ask, came_s=ask.came_s - own[0].came_s) for ask in own]


def _traced(place: Place, asks: Sequence[Ask], policy: Any) -> tuple[list[float], float]:
    with place.engine(policy) as (engine, _drawer):
        drawn(engine, [raw(0, 2)])
        all_ears, began_s = [Ears() for _ in asks], time.perf_counter()
        for number, (ask, ears) in enumerate(zip(asks, all_ears, strict=True)):
            time.sleep(max(0.0, began_s + ask.came_s - time.perf_counter()))
            engine.submit(f"r{number}", raw(number, ask.steps), ears, ask.priority)
        for ears in all_ears:
            ears.ended.wait()
        latencies = [ears.ended_s - began_s - ask.came_s for ears, ask in zip(all_ears, asks, strict=True)]
        return latencies, max(ears.ended_s for ears in all_ears) - began_s


def cancelled(place: Place, count: int) -> Figures:
    """Units of a request that began after its cancelling."""
    most = 0
    with place.engine() as (engine, drawer):
        for number in range(count):
            ears, other = Ears(cancel_at=1 + number % 4), Ears()
            ears.ticket = engine.submit(f"c{number}", raw(number, 50), ears)
            engine.submit(f"o{number}", raw(-1, 1), other)
            ears.ended.wait()
            other.ended.wait()
            most = max(most, sum(id == f"r{number}" and at_s > ears.cancelled_s for id, at_s in drawer.log))
            drawer.log.clear()
    return {"cancelled until its slot is free": {"units": most, "target": 1}}


def compared(place: Place, rounds: int) -> Figures:
    """The engine, with progress, manifests and workers, against its own functions in a bare loop; in turn."""
    bare_s = loop_s = 0.0
    with place.engine() as (engine, _drawer):
        drawer, prepare = door._drawer(place.folder, place.device), place.prepare
        drawn(engine, [raw(0, 5)])
        reference_loop(drawer, prepare(raw(0, 5)))
        for number in range(rounds):
            requests = [raw(2 * number + each, 20, preview_every=5) for each in (1, 2)]
            began_s = time.perf_counter()
            for request in requests:
                reference_loop(drawer, prepare(request))
            bare_s += time.perf_counter() - began_s
            loop_s += drawn(engine, requests)
    ratio = round(bare_s / loop_s, 3)
    return {"engine's loop against a bare loop": {"throughput_ratio": ratio, "target": 0.98}}


def shared(place: Place) -> Figures:
    """What the number of slots in a batch gains and costs on this processor."""
    drawer = door._drawer(place.folder, place.device)
    asked = partial(raw, steps=9, guidance=5.0)
    found = by_slots(drawer, place.device, lambda number: place.prepare(asked(number)), clock=time.thread_time)
    return {f"batch of {name}": row for name, row in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace-s", type=float, default=60, help="how long the trace lasts, each way")
    parser.add_argument("--rounds", type=int, default=10, help="of comparing with a bare loop")
    chosen = parser.parse_args()
    figures = counted(2_000)
    with tempfile.TemporaryDirectory(prefix="continuity-engine-") as folder:
        place = Place(Path(folder) / "models")
        for part in (
            partial(compared, place, chosen.rounds), partial(cancelled, place, 20),
            partial(traced, place, chosen.trace_s), partial(shared, place),
        ):  # fmt: skip
            figures |= part()
            print(json.dumps(figures), file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
