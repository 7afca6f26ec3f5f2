"""One runtime per home: whoever holds the lock is it, and tells the others where it listens."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import continuity
from continuity.hosting.home import usable
from continuity.kernel.errors import Exists


@dataclass(eq=False)
class RuntimeExists(Exists):
    """Another runtime lives on this home."""

    template = "a runtime is already running on {home}"
    home: str


@contextmanager
def sole_runtime(lock_path: Path) -> Iterator[None]:
    """Hold the home. Raises ``RuntimeExists`` at once when somebody else does, and ``HomeUnusable``."""
    with usable(lock_path):
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_path.open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeExists(home=str(lock_path.parent)) from None
        yield


@contextmanager
def told(runtime_path: Path, address: str, renderer: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Tell where the runtime listens, what draws, and with which settings, for as long as it does; never a secret."""
    body = {
        "address": address,
        "pid": os.getpid(),
        "version": continuity.__version__,
        "renderer": renderer,
        "settings": settings,
    }
    scratch = runtime_path.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(body))
    scratch.replace(runtime_path)
    try:
        yield
    finally:
        runtime_path.unlink(missing_ok=True)
