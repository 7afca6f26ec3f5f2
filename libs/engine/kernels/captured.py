"""A call that is captured as a CUDA graph: one launch instead of thousands, the same kernels every time."""

from __future__ import annotations

from typing import Any

import torch

from engine.kernels.port import Call, Inputs

__all__ = ["WARM_UPS", "Captured", "Captures"]

WARM_UPS = 3
"""Calls before a capture: libraries choose, allocate and load at the first ones, which a capture does not allow."""


class Captures:
    """Makes captures that share one pool of memory, for they run one at a time."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._pool: Any = None

    def capture(self, call: Call, inputs: Inputs) -> Captured:
        """Warm a call up and capture it, both on one stream of their own, so that workspaces are there by then."""
        if self._stream is None:
            self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        try:
            return self._captured(call, {name: each.clone() for name, each in inputs.items()})
        except RuntimeError:
            self._stream = self._pool = None  # which may be left in the middle of it
            raise

    def _captured(self, call: Call, own: dict[str, torch.Tensor]) -> Captured:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):  # a capture that fails would leave its stream the current one
            for _ in range(WARM_UPS):
                call(**own)
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Other threads may ask the driver something meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                output = call(**own)
        torch.cuda.current_stream().wait_stream(self._stream)
        return Captured(graph, own, output)


class Captured:
    """Its inputs are copied into buffers of its own, and its output out of another, which others overwrite."""

    def __init__(self, graph: Any, inputs: Inputs, output: torch.Tensor) -> None:
        self._graph, self._inputs, self._output = graph, inputs, output

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Run with other values. Raises ``ValueError`` for inputs of another kind than those that were captured."""
        if inputs.keys() != self._inputs.keys():
            raise ValueError(f"captured with {sorted(self._inputs)}, called with {sorted(inputs)}")
        for name, own in self._inputs.items():
            given, wanted = inputs[name], (tuple(own.shape), own.dtype)
            if (tuple(given.shape), given.dtype) != wanted:
                raise ValueError(f"{name} was captured as {wanted}, it is {(tuple(given.shape), given.dtype)}")
            own.copy_(given)
        self._graph.replay()
        return self._output.clone()
