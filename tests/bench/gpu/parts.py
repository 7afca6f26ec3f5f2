"""The measurements in parts, each a process's work: a part that breaks the GPU breaks no other."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from engine.device import chosen
from engine.kernels.artifact import Artifact
from engine.kernels.port import Kernels
from tests.bench.gpu import sections
from tests.bench.gpu.ceilings import ceilings
from tests.bench.gpu.company import company
from tests.bench.gpu.full_size import full_size
from tests.bench.gpu.levers import BLOCKS, COMPILED, EAGER, GRAPHS, TMA, TUNED, Setting
from tests.bench.gpu.report import Report
from tests.bench.gpu.slots import slots
from tests.bench.gpu.trace import trace

TRACED = 24


def measure(name: str, asked: argparse.Namespace, report: Report) -> None:
    """Take the measurements of one part."""
    device = chosen(asked.device, 1)
    device.settle()
    on_gpu = device.torch_device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    report.head = head(asked, device)
    if name == "ceilings":
        report.add("ceilings", lambda: ceilings(device.torch_device, dtype, asked.shrink))
        return
    checkpoint = full_size(device.torch_device, dtype, asked.shrink)
    bench = sections.Bench(checkpoint, device, asked.side, tuple(asked.steps), asked.times)
    PARTS[name](bench, asked, report)


def head(asked: argparse.Namespace, device: Any) -> dict[str, Any]:
    """Return what the figures are from."""
    import diffusers
    import transformers

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


def _stock(bench: sections.Bench, _: argparse.Namespace, report: Report) -> None:
    report.add("health", lambda: sections.health(bench))
    report.add("stock diffusers", lambda: sections.stock(bench))


def _levers(settings: Sequence[Setting], more: Sequence[str] = ()) -> Callable[..., None]:
    """Measure one after the other; of the last one what ``more`` names as well."""

    def levers(bench: sections.Bench, asked: argparse.Namespace, report: Report) -> None:
        known = sections.reference(bench, lambda: full_size(bench.torch_device, torch.float32, asked.shrink))
        _give_back(bench)
        for each in settings:
            with each.on(bench.checkpoint) as kernels:
                report.add(f"engine, {each.name}", lambda kernels=kernels: sections.engine(bench, kernels))
                report.add(f"precision, {each.name}", lambda k=kernels: sections.precision(bench, known, k))
                for name in more if each is settings[-1] else ():
                    report.add(f"{name}, {each.name}", lambda n=name, k=kernels: MORE[n](bench, k))
                if uncaptured := sorted(getattr(kernels, "uncaptured", ())):
                    report.add(f"not captured, {each.name}", lambda found=uncaptured: found)
            _give_back(bench)

    return levers


def _slots(bench: sections.Bench, _: argparse.Namespace, report: Report) -> None:
    with GRAPHS.on(bench.checkpoint) as kernels:
        report.add("slots", lambda: slots(bench, kernels))


def _trace(bench: sections.Bench, asked: argparse.Namespace, report: Report) -> None:
    with GRAPHS.on(bench.checkpoint) as kernels:
        report.add("trace", lambda: trace(bench, kernels, TRACED if asked.shrink == 1 else 4))


def _artifact(bench: sections.Bench, kernels: Kernels) -> dict[str, Any]:
    """How large what serving would read is."""
    saved = torch.compiler.save_cache_artifacts()
    facts = {name: str(each) for name, each in bench.device.facts().items()}
    found = Artifact(facts, tuple(getattr(kernels, "made", ())), saved[0] if saved else b"")
    return {"bytes": len(found.payload), "sha256": found.sha256, "classes": sorted(found.classes)}


def _give_back(bench: sections.Bench) -> None:
    if bench.torch_device.type == "cuda":
        torch.cuda.empty_cache()


MORE: Mapping[str, Callable[[sections.Bench, Kernels], Any]] = {
    "phases": sections.phases,
    "overhead of a step": sections.overhead,
    "same bytes in company": company,
    "kernel artifact": _artifact,
}
PARTS: Mapping[str, Callable[[sections.Bench, argparse.Namespace, Report], None]] = {
    "stock": _stock,
    "eager": _levers(EAGER, ["phases", "overhead of a step", "same bytes in company"]),
    "blocks": _levers(BLOCKS, ["phases"]),
    "slots": _slots,
    "trace": _trace,
    "compiled": _levers(COMPILED, ["phases", "overhead of a step", "same bytes in company", "kernel artifact"]),
    "tuned": _levers(TUNED, ["phases", "overhead of a step", "kernel artifact"]),
    "tma": _levers(TMA, ["phases"]),
}
