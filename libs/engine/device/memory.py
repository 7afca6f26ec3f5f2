"""Running out of memory as one request's error, whichever way torch says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from engine.errors import OutOfMemory

__all__ = ["OnAllocation", "guarded", "is_memory"]

OnAllocation = Callable[[str, int], None]
"""Told phase and bytes before each allocation; what it raises is raised there, so tests make any of them fail."""

_SAID = (
    "out of memory",
    "can't allocate memory",
    "could not create a primitive",  # oneDNN, which compiles one with memory of its own and does not say what it lacked
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_memory(error: BaseException) -> bool:
    """Tell whether torch, one of its libraries or Python ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


@contextmanager
def guarded(
    phase: str, wanted_bytes: int, free_bytes: Callable[[], int], release: Callable[[], None], before: OnAllocation
) -> Iterator[None]:
    """Enclose an allocation; see ``Device.allocating``. ``release`` gives back what is cached."""
    before(phase, wanted_bytes)
    if wanted_bytes and wanted_bytes > (free := free_bytes()):  # drivers are slow to say
        release()
        raise OutOfMemory(phase, wanted_bytes, free)
    try:
        yield
    except Exception as error:
        if not is_memory(error):
            raise
        free = free_bytes()
        release()
        raise OutOfMemory(phase, wanted_bytes, free) from error
