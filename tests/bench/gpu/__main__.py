"""SDXL at full size with random weights on one GPU, in this process: ``python -m tests.bench.gpu --out DIR``.

Needs torch, transformers and diffusers, no network, no weights. Each table is written as soon as it is there, so a run
that is ended keeps what it has measured. ``--shrink`` tries the script on a CPU with a small model.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from engine.device import chosen
from engine.kernels.artifact import Artifact, write
from engine.kernels.port import Eager, Kernels
from tests.bench.gpu import sections
from tests.bench.gpu.clock import Budget
from tests.bench.gpu.full_size import full_size

ROOFLINE_S = {20: 0.356, 30: 0.527}
"""Seconds an image at 1024² and 790 TFLOP/s of bf16: 281.1 and 416.4 TFLOP (FLOP counter on meta tensors)."""
TARGETS = {20: 1.25, 30: 0.85}
LEAST_S = {"compiled": 90.0, "tuned": 240.0}
"""What a part takes at least; with less left it is not begun."""


class Report:
    """Tables by name, on the disk after each of them."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self.tables: dict[str, Any] = {}
        self._head = head

    def add(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure and keep; a failure is kept as such, and the rest goes on."""
        began = time.monotonic()
        try:
            table = measure()
        except Exception as error:
            traceback.print_exc()
            table = {"failed": f"{type(error).__name__}: {error}"[:500]}
        self.tables[name] = table
        print(f"{name} ({time.monotonic() - began:.0f} s): {json.dumps(table)}", flush=True)
        self._path.write_text(json.dumps(self._head | {"tables": self.tables}, indent=2) + "\n")
        return table


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="make bench-gpu")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--shrink", type=int, default=1, help="divides the networks' widths; 16 for a trial on a CPU")
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 30])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--levers", nargs="*", default=["compiled", "tuned"], choices=["compiled", "tuned"])
    parser.add_argument("--budget-s", type=float, default=560.0)
    run(parser.parse_args())


def run(asked: argparse.Namespace) -> None:
    """Take all measurements that there is time for."""
    budget = Budget(asked.budget_s)
    device = chosen(asked.device, 1)
    device.settle()
    on_gpu = device.torch_device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    asked.out.mkdir(parents=True, exist_ok=True)
    report = Report(asked.out / f"gpu-{'trial' if asked.shrink > 1 else _slug(device.name)}.json", head(asked, device))
    checkpoint = full_size(device.torch_device, dtype, asked.shrink)
    bench = sections.Bench(checkpoint, device, asked.side, tuple(asked.steps), asked.times)
    report.add("health", lambda: sections.health(bench))
    report.add("precision", lambda: _precision(bench, asked.shrink))
    report.add("stock diffusers", lambda: sections.stock(bench))
    report.add("engine, eager", lambda: sections.engine(bench))
    best = _levers(report, bench, budget, device, asked.levers)
    report.add("phases", lambda: sections.phases(bench, best))
    report.add("overhead of a step", lambda: sections.overhead(bench, best))
    report.add("same bytes in company", lambda: sections.company(bench, best))
    report.add("ratios", lambda: ratios(report.tables))


def head(asked: argparse.Namespace, device: Any) -> dict[str, Any]:
    """Return what the figures are from."""
    return {
        "name": "gpu",
        "device": device.name,
        "facts": dict(device.facts()),
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "side_px": asked.side,
        "shrink": asked.shrink,
        "weights": "random",
    }


def ratios(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the best engine against stock and against the roofline, by number of steps."""
    engines = [table for name, table in tables.items() if name.startswith("engine") and "failed" not in table]
    found: dict[str, Any] = {}
    for label, stock in tables["stock diffusers"].items():
        best_s = min(table[label]["median_s"] for table in engines)
        steps = int(label.split()[0])
        found[label] = {
            "images_per_s": 1 / best_s,
            "target_images_per_s": TARGETS.get(steps),
            "times_stock": stock["median_s"] / best_s,
            "share_of_roofline": ROOFLINE_S[steps] / best_s if steps in ROOFLINE_S else None,
        }
    return found


def _levers(report: Report, bench: sections.Bench, budget: Budget, device: Any, names: list[str]) -> Kernels:
    """Add one lever after the other while there is time; return the last that worked."""
    best: Kernels = Eager()
    bench.checkpoint.unet.to(memory_format=torch.channels_last)
    bench.checkpoint.vae.to(memory_format=torch.channels_last)
    report.add("engine, channels last", lambda: sections.engine(bench))
    for name, mode in (("compiled", "serve"), ("tuned", "tune")):
        if name not in names:
            continue
        if budget.left_s < LEAST_S[name]:
            report.add(f"engine, {name}", lambda: {"failed": "no time was left"})
            continue
        kernels = sections.tuned(mode)
        table = report.add(f"engine, {name}", lambda kernels=kernels: sections.engine(bench, kernels))
        if "failed" not in table:
            best = kernels
    report.add("kernel artifact", lambda: _kept(report, device))
    return best


def _kept(report: Report, device: Any) -> dict[str, Any]:
    """Save what the compiler has cached, as serving would read it."""
    saved = torch.compiler.save_cache_artifacts()
    if saved is None:
        return {"bytes": 0}
    artifact = Artifact({name: str(each) for name, each in device.facts().items()}, (), saved[0])
    path = write(Path("build") / "kernels", artifact)
    return {"bytes": path.stat().st_size, "sha256": artifact.sha256}


def _precision(bench: sections.Bench, shrink: int) -> dict[str, Any]:
    reference = full_size(bench.torch_device, torch.float32, shrink)
    try:
        return sections.precision(bench, reference)
    finally:
        del reference
        if bench.torch_device.type == "cuda":
            torch.cuda.empty_cache()


def _slug(name: str) -> str:
    return "-".join(name.lower().split())


if __name__ == "__main__":
    main()
