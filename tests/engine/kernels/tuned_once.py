"""Tunes a small network, or serves it from what another process tuned: ``tuned_once.py tune|serve FOLDER``."""

import json
import logging
import sys
from functools import partial
from pathlib import Path

import torch
from torch._dynamo.utils import counters

from engine.device import CpuDevice
from engine.kernels.compiled import Compiled

part, folder = sys.argv[1], Path(sys.argv[2])
warnings: list[str] = []
logging.getLogger("engine.kernels.compiled").warning = lambda *said: warnings.append(str(said))  # type: ignore[method-assign]
CpuDevice(1)
torch.manual_seed(7)
network = torch.nn.Linear(32, 48).requires_grad_(False)


def call(network: torch.nn.Module, *, latent: torch.Tensor) -> torch.Tensor:
    return network(latent)


if part == "tune":
    kernels = Compiled("", "tuned", is_tuning=True)
else:
    torch.compiler.load_cache_artifacts((folder / "caches").read_bytes())
    kernels = Compiled("f00d", "tuned", json.loads((folder / "classes").read_text()))
with torch.no_grad():
    total = kernels.run(("unet",), partial(call, network), {"latent": torch.linspace(-1, 1, 512).view(16, 32)}).sum()
if part == "tune":
    (folder / "caches").write_bytes(torch.compiler.save_cache_artifacts()[0])
    (folder / "classes").write_text(json.dumps(sorted(kernels.made)))
found = counters["inductor"]
told = {"measured": found["select_algorithm_autotune"], "hits": found["fxgraph_cache_hit"]}
print(json.dumps({**told, "misses": found["fxgraph_cache_miss"], "warnings": warnings, "sum": float(total)}))
