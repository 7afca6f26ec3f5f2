"""Drawing on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from engine.device.memory import OnAllocation, guarded
from engine.device.settings import CUBLAS_WORKSPACES, fix, fixed_facts

__all__ = ["CudaDevice"]


class CudaDevice:
    """GPU number ``index`` of those that torch sees."""

    def __init__(
        self, index: int = 0, threads: int = 1, on_allocation: OnAllocation = lambda _phase, _bytes: None
    ) -> None:
        self._threads = threads
        self._on_allocation = on_allocation
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
            "cuda_driver": torch._C._cuda_getDriverVersion(),
            "cudnn": torch.backends.cudnn.version(),
            "cublas_workspaces": CUBLAS_WORKSPACES,
            **fixed_facts(),
        }

    def free_bytes(self) -> int:
        """Return what the driver has left and what torch has reserved and does not use."""
        free, _total = torch.cuda.mem_get_info(self.torch_device)
        reserved, used = (
            torch.cuda.memory_reserved(self.torch_device),
            torch.cuda.memory_allocated(self.torch_device),
        )
        return int(free + reserved - used)

    def release(self) -> None:
        """See ``Device``."""
        torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """See ``Device``."""
        torch.cuda.synchronize(self.torch_device)

    def allocating(self, phase: str, wanted_bytes: int) -> AbstractContextManager[None]:
        """See ``Device``."""
        return guarded(phase, wanted_bytes, self.free_bytes, self.release, self._on_allocation)
