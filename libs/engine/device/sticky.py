"""Errors after which nothing on the device works any more, whoever asks."""

from __future__ import annotations

import torch

__all__ = ["POISONOUS", "is_poisoned", "is_sticky"]

POISONOUS = (
    "illegal memory access",
    "illegal instruction",
    "illegal address",
    "misaligned address",
    "invalid address space",
    "invalid program counter",
    "hardware stack error",
    "device-side assert",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable ECC error",
    "uncorrectable NVLink error",
    "context is destroyed",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_MAPPING_ERROR",
    "CUSOLVER_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_MAPPING_ERROR",
)
"""What CUDA and its libraries say once a context is beyond repair.

Source: CUDA runtime API, cudaError: each of these "leaves the process in an inconsistent state"; the libraries'
failures to execute are how the same comes out of them.
"""

_PASSING = ("out of memory", "stream is capturing", "during capture")
"""What CUDA says of a request too large, or of a capture that must be given up; the context is as it was."""


def is_sticky(error: BaseException) -> bool:
    """Tell whether the device is unusable for this process from now on, as after an illegal access on a GPU.

    torch raises its own type where it asks CUDA itself; libraries' failures come as ``RuntimeError``, told by words.
    """
    if isinstance(error, torch.AcceleratorError):
        return not any(words in str(error) for words in _PASSING)
    return is_poisoned(error)


def is_poisoned(error: BaseException) -> bool:
    """Tell whether an error says in words that the context is beyond repair, whatever its type."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in POISONOUS)
