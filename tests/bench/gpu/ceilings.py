"""What this GPU does at best: copies, products as SDXL has them, attention by each of torch's kernels for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import linear, scaled_dot_product_attention

from tests.bench.gpu.clock import seconds
from tests.bench.gpu.levers import ATTENTION

PRODUCTS = {
    "square": (8192, 8192, 8192),
    "1280: to_q, to_out": (2048, 1280, 1280),
    "1280: joined": (2048, 3840, 1280),
    "1280: feed-forward in": (2048, 10240, 1280),
    "1280: feed-forward out": (2048, 1280, 5120),
    "640: to_q, to_out": (8192, 640, 640),
    "640: joined": (8192, 1920, 640),
    "640: feed-forward in": (8192, 5120, 640),
    "640: feed-forward out": (8192, 640, 2560),
    "words, one layer": (154, 1280, 2048),
    "words, all layers": (154, 83200, 2048),
}
"""Rows, columns and depth, of one guided step at 1024²."""
HEADS = {
    "self, 640": (2, 10, 4096, 4096, 64),
    "self, 1280": (2, 20, 1024, 1024, 64),
    "words, 640": (2, 10, 4096, 77, 64),
    "words, 1280": (2, 20, 1024, 77, 64),
    "autoencoder": (1, 1, 16384, 16384, 512),
}
"""Rows, heads, queries, keys, width of a head."""
REPEATS = 20


def ceilings(device: torch.device, dtype: torch.dtype, shrink: int) -> dict[str, Any]:
    """Return TFLOP/s and GB/s; ``shrink`` divides lengths for a trial on a CPU."""
    return {
        "copy_gb_per_s": _copy(device, shrink),
        "products_tflop_per_s": {name: _product(device, dtype, each, shrink) for name, each in PRODUCTS.items()},
        "attention_tflop_per_s": {name: _attentions(device, dtype, each, shrink) for name, each in HEADS.items()},
    }


def _copy(device: torch.device, shrink: int) -> float:
    source = torch.empty(2**32 // shrink**4, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / _each_s(device, lambda: target.copy_(source)) / 1e9


def _product(device: torch.device, dtype: torch.dtype, size: tuple[int, int, int], shrink: int) -> float:
    rows, columns, depth = (max(1, each // shrink) for each in size)
    left = torch.randn(rows, depth, device=device, dtype=dtype)
    right = torch.randn(columns, depth, device=device, dtype=dtype)
    return 2 * rows * columns * depth / _each_s(device, lambda: linear(left, right)) / 1e12


def _attentions(device: torch.device, dtype: torch.dtype, size: tuple[int, ...], shrink: int) -> dict[str, Any]:
    rows, heads, queries, keys, width = size
    queries, keys = max(1, queries // shrink), max(1, keys // shrink)
    query, key, value = (
        torch.randn(rows, heads, length, width, device=device, dtype=dtype) for length in (queries, keys, keys)
    )
    flop = 4 * rows * heads * queries * keys * width
    found: dict[str, Any] = {}
    for name, backend in ATTENTION.items():
        try:
            with sdpa_kernel([backend]):
                took_s = _each_s(device, lambda: scaled_dot_product_attention(query, key, value))
            found[name] = flop / took_s / 1e12
        except RuntimeError as error:
            found[name] = f"not possible: {error}"[:120]
    return found


def _each_s(device: torch.device, act: Callable[[], object]) -> float:
    """Return the seconds of one, of several in a row."""

    def several() -> None:
        for _ in range(REPEATS if device.type == "cuda" else 1):
            act()

    return seconds(device, several, 3, warm_ups=1)["median_s"] / (REPEATS if device.type == "cuda" else 1)
