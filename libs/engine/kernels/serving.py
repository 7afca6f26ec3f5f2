"""Which kernels serve: those that were tuned for this device, or torch's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.kernels.artifact import read
from engine.kernels.compiled import Compiled
from engine.kernels.port import Eager, Kernels

__all__ = ["FOLDER", "serving"]

FOLDER = ".kernels"
"""Beside the models, in their folder."""


def serving(models: Path, facts: Mapping[str, Any]) -> Kernels:
    """Return what draws on a device with these facts, the engine's version among them.

    Without an artifact that fits nothing is compiled. Raises ``ModelUnusable`` for one whose bytes are others.
    """
    artifact = read(models / FOLDER, facts)
    if artifact is None:
        return Eager()
    torch.compiler.load_cache_artifacts(artifact.payload)
    return Compiled(artifact.sha256)
