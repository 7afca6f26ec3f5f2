"""Which NVIDIA driver runs here; torch does not tell."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

__all__ = ["driver_version"]

_LONGEST = 80
"""Bytes of NVML's answer (NVML API reference, NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE)."""


def driver_version(library: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Return the driver's version as its maker writes it (``580.159.04``), else the CUDA version that it speaks.

    Empty where there is no driver. ``library`` opens one by its name.
    """
    for asked in (_by_nvml, _by_cuda):
        try:
            return asked(library)
        except (OSError, AttributeError):
            continue
    return ""


def _by_nvml(library: Callable[[str], Any]) -> str:
    nvml = library("libnvidia-ml.so.1")
    _require(nvml.nvmlInit_v2())
    try:
        found = ctypes.create_string_buffer(_LONGEST)
        _require(nvml.nvmlSystemGetDriverVersion(found, ctypes.c_uint(_LONGEST)))
    finally:
        nvml.nvmlShutdown()
    return found.value.decode("ascii", "replace")


def _by_cuda(library: Callable[[str], Any]) -> str:
    cuda, version = library("libcuda.so.1"), ctypes.c_int()
    _require(cuda.cuDriverGetVersion(ctypes.byref(version)))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"


def _require(status: int) -> None:
    if status != 0:
        raise OSError(f"the driver answered {status}")
