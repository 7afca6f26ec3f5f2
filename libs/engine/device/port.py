"""What the engine asks of a device."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from engine.device.sticky import is_sticky
from engine.errors import Refused

__all__ = ["Device", "chosen", "is_sticky"]


class Device(Protocol):
    """A device that torch computes on. Making one fixes the process's settings that may change bytes."""

    @property
    def torch_device(self) -> torch.device:
        """Where tensors go."""
        ...

    @property
    def name(self) -> str:
        """The model of the hardware, as its maker calls it."""
        ...

    def settle(self) -> None:
        """Apply the settings to the calling thread; some of them belong to threads, so the drawing one calls this."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """Return everything of the device and its libraries that may change bytes; values go into JSON."""
        ...

    def free_bytes(self) -> int:
        """Return how much memory tensors could still take, caches of torch's own included."""
        ...

    def release(self) -> None:
        """Give memory back that is cached and that no tensor has."""
        ...

    def synchronize(self) -> None:
        """Wait until everything queued has ended. Raises what went wrong in it, if that was not raised yet."""
        ...

    def allocating(self, phase: str, wanted_bytes: int) -> AbstractContextManager[None]:
        """Enclose what takes about ``wanted_bytes`` of memory.

        Raises ``OutOfMemory`` at once when they are not free, and in place of torch's own errors when they turn out not
        to be; what was cached is then given back.
        """
        ...


def chosen(device: str, threads: int) -> Device:
    """Return the device called ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: a GPU where there is one."""
    from engine.device.cpu import CpuDevice  # noqa: PLC0415 - they stand on this module
    from engine.device.cuda import CudaDevice  # noqa: PLC0415

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return CpuDevice(threads)
    kind, _, number = ("cuda" if device == "auto" else device).partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise Refused("device", device, "it is auto, cpu, cuda or cuda:N")
    if int(number or 0) >= torch.cuda.device_count():
        raise Refused("device", device, f"torch sees {torch.cuda.device_count()} CUDA devices")
    return CudaDevice(int(number or 0), threads)
