"""Drawing on a processor."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from platform import machine
from typing import Any

import torch

from engine.device.memory import OnAllocation, guarded
from engine.device.settings import fix, fixed_facts

__all__ = ["CpuDevice"]

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")


class CpuDevice:
    """``threads`` is part of what decides bytes: sums over other parts give other last digits."""

    def __init__(self, threads: int = 1, on_allocation: OnAllocation = lambda _phase, _bytes: None) -> None:
        self._threads = threads
        self._on_allocation = on_allocation
        self.torch_device = torch.device("cpu")
        self.name = _processor()
        self.settle()

    def settle(self) -> None:
        """See ``Device``."""
        fix(self._threads)

    def facts(self) -> Mapping[str, Any]:
        """See ``Device``."""
        instructions = torch.backends.cpu.get_cpu_capability()
        return {"device": self.name, "instructions": instructions, **fixed_facts()}

    def free_bytes(self) -> int:
        """Return what the system has available, within the limit of the container if there is one."""
        return min(_available(), _within_limit())

    def release(self) -> None:
        """Do nothing: torch caches no main memory."""

    def synchronize(self) -> None:
        """Do nothing: whatever was called has ended."""

    def allocating(self, phase: str, wanted_bytes: int) -> AbstractContextManager[None]:
        """See ``Device``."""
        return guarded(phase, wanted_bytes, self.free_bytes, self.release, self._on_allocation)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), machine())


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo has no MemAvailable")


def _within_limit() -> int:
    try:
        return int(_LIMIT.read_text()) - int(_USED.read_text())
    except (OSError, ValueError):  # no such group, or its limit is the word max
        return 1 << 62
