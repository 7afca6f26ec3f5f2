"""The process's settings that may change a picture's bytes, and how they are told."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import torch

__all__ = ["fix", "fixed_facts"]

CUBLAS_WORKSPACES = ":4096:8"
"""Eight workspaces of 4 MiB: with a fixed configuration cuBLAS gives the same bits on every run."""


def fix(threads: int) -> None:
    """Fix thread counts and the choice of kernels; to be called before the first computation and in its thread."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = CUBLAS_WORKSPACES
    torch.set_num_threads(threads)
    with suppress(RuntimeError):  # once something ran beside the main thread the number stands
        torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs a pass over every new tensor
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def fixed_facts() -> dict[str, Any]:
    """Return what of torch may change bytes, on whichever device."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
    }
