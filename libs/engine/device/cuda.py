"""Drawing on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from engine.device.driver import driver_version
from engine.device.memory import OnAllocation, guarded
from engine.device.settings import CUBLAS_WORKSPACES, fix, fixed_facts

__all__ = ["CudaDevice"]

_COMMON_POOL = (0, 0)


class CudaDevice:
    """GPU number ``index`` of those that torch sees."""

    def __init__(
        self, index: int = 0, threads: int = 1, on_allocation: OnAllocation = lambda _phase, _bytes: None
    ) -> None:
        self._threads = threads
        self._on_allocation = on_allocation
        self._counted: tuple[int, int] | None = None
        self.torch_device = torch.device("cuda", index)
        self.settle()
        self.name = torch.cuda.get_device_name(index)

    def settle(self) -> None:
        """See ``Device``; makes the GPU the calling thread's own."""
        fix(self._threads)
        torch.cuda.set_device(self.torch_device)

    def facts(self) -> Mapping[str, Any]:
        """See ``Device``."""
        major, minor = torch.cuda.get_device_capability(self.torch_device)
        return {
            "device": self.name,
            "instructions": f"sm_{major}{minor}",
            "cuda": torch.version.cuda,
            "cuda_driver": driver_version(),
            "cudnn": torch.backends.cudnn.version(),
            "cublas_workspaces": CUBLAS_WORKSPACES,
            **fixed_facts(),
        }

    def free_bytes(self) -> int:
        """Return what the driver has left and what torch has reserved and does not use, captured graphs' share not."""
        free, _total = torch.cuda.mem_get_info(self.torch_device)
        statistics = torch.cuda.memory_stats_as_nested_dict(self.torch_device)
        reserved, used = (statistics[each]["all"]["current"] for each in ("reserved_bytes", "allocated_bytes"))
        return int(free + reserved - used - self._idle_in_graphs(reserved))

    def _idle_in_graphs(self, reserved: int) -> int:
        """Return what is kept for captured graphs and looks unused; counted anew when torch has taken or given memory.

        Graphs write there without torch's knowledge, so nobody else gets it.
        """
        if self._counted is None or self._counted[0] != reserved:
            self._counted = reserved, sum(map(_idle, torch.cuda.memory_snapshot(include_traces=False)))
        return self._counted[1]

    def release(self) -> None:
        """See ``Device``."""
        torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """See ``Device``."""
        torch.cuda.synchronize(self.torch_device)

    def allocating(self, phase: str, wanted_bytes: int) -> AbstractContextManager[None]:
        """See ``Device``."""
        return guarded(phase, wanted_bytes, self.free_bytes, self.release, self._on_allocation)


def _idle(segment: Mapping[str, Any]) -> int:
    """Of a segment of torch's memory; that of captured graphs belongs to a pool with a number."""
    is_ours = tuple(segment["segment_pool_id"]) == _COMMON_POOL
    return 0 if is_ours else int(segment["total_size"]) - int(segment["allocated_size"])
