"""Seconds on a device that works asynchronously."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def finished(device: torch.device) -> float:
    """Return the time at which everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(device: torch.device, act: Callable[[], object], times: int, warm_ups: int = 1) -> dict[str, float]:
    """Return minimum, median and maximum of ``times`` runs."""
    for _ in range(warm_ups):
        act()
    runs = []
    for _ in range(times):
        began = finished(device)
        act()
        runs.append(finished(device) - began)
    return {"min_s": min(runs), "median_s": statistics.median(runs), "max_s": max(runs)}
