"""Kernels that are compiled and, on CUDA, captured: one launch a call, and the same kernels every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from engine.kernels.port import Call, Group, Inputs

__all__ = ["MODES", "Compiled"]

MODES: Mapping[str, Mapping[str, Any]] = {
    "serve": {"max_autotune": False, "coordinate_descent_tuning": False},
    "tune": {"max_autotune": True, "coordinate_descent_tuning": True},
}
"""Options of the compiler. What tuning found is read from its cache when serving, so serving measures nothing."""
WARM_UPS = 3
"""Calls before a capture: libraries choose and allocate at the first ones (torch's documentation of CUDA graphs)."""

Compiler = Callable[[Call], Call]


class Compiled:
    """Compiles each group once, and captures it where the tensors are on CUDA. One thread uses it.

    ``sha256`` names the artifact that torch's caches were filled from.
    """

    def __init__(self, sha256: str, mode: str = "serve", compiler: Compiler | None = None) -> None:
        self.sha256 = sha256
        self._compiler = compiler or _inductor(mode)
        self._ready: dict[Group, _Graph | _Plain] = {}
        self._pool: Any = None

    def ready(self, group: Group) -> bool:
        """Tell whether the group was prepared."""
        return group in self._ready

    def prepare(self, group: Group, call: Call, inputs: Inputs) -> None:
        """Compile for these shapes, call it until nothing is chosen any more, and capture it."""
        compiled = self._compiler(call)
        for _ in range(WARM_UPS):
            compiled(**inputs)
        if not all(each.is_cuda for each in inputs.values()):
            self._ready[group] = _Plain(compiled)
            return
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        self._ready[group] = _Graph(compiled, inputs, self._pool)

    def run(self, group: Group, call: Call, inputs: Inputs) -> torch.Tensor:
        """Run what was prepared; a group that was not is prepared first."""
        if group not in self._ready:
            self.prepare(group, call, inputs)
        return self._ready[group](inputs)

    def forget(self, checkpoint: str) -> None:
        """Give back the kernels of the groups that name a checkpoint: they hold its weights."""
        self._ready = {group: each for group, each in self._ready.items() if checkpoint not in group}


class _Plain:
    """A compiled call that is launched operation by operation."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        return self._call(**inputs)


class _Graph:
    """A captured call. Its inputs are copied into buffers of its own, its output lies in another."""

    def __init__(self, call: Call, inputs: Inputs, pool: Any) -> None:
        self._inputs = {name: each.clone() for name, each in inputs.items()}
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._output = call(**self._inputs)

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        for name, own in self._inputs.items():
            own.copy_(inputs[name])
        self._graph.replay()
        return self._output


def _inductor(mode: str) -> Compiler:
    options = dict(MODES[mode])

    def compiler(call: Call) -> Call:
        return torch.compile(call, dynamic=False, fullgraph=True, options=options)

    return compiler
