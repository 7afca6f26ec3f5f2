"""Which kernels serve: those that were tuned for this device, or torch's own."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import engine
from engine.errors import ModelUnusable
from engine.kernels.artifact import FOLDER, differences, read
from engine.kernels.port import Eager, Kernels
from engine.offload.process import interpreter

__all__ = ["serving"]

_LOGGER = logging.getLogger(__name__)


def serving(models: Path, facts: Mapping[str, Any]) -> Kernels:
    """Return what draws on a device with these facts, the engine's version among them.

    Without an artifact that fits nothing is compiled, which the log tells where there is a GPU. Raises
    ``ModelUnusable`` for one whose bytes are others, or that was compiled in a way that is not known here.
    """
    artifact = read(models / FOLDER, facts)
    if artifact is None:
        _tell(models, facts)
        return Eager()
    from engine.kernels.compiled import Compiled  # noqa: PLC0415 - the compiler takes seconds to import
    from engine.kernels.compiler import OPTIONS  # noqa: PLC0415

    if artifact.options not in OPTIONS:
        raise ModelUnusable(FOLDER, f"its kernels were compiled as {artifact.options!r}; tune again")
    torch.compiler.load_cache_artifacts(artifact.payload)
    return Compiled(artifact.sha256, artifact.options, artifact.classes)


def _tell(models: Path, facts: Mapping[str, Any]) -> None:
    """Say to whoever has a GPU, and so something to gain, that it draws slower than it could, and what to do."""
    if "cuda_driver" not in facts:
        return
    unfit = differences(models / FOLDER, facts)
    why = ", ".join(f"those there are for {name} {then!r}, not {now!r}" for name, (then, now) in (unfit or {}).items())
    libraries, words = Path(engine.__file__).parents[1], ("--models", str(models), "--checkpoint", "NAME")
    command = shlex.join((interpreter(), "-m", "engine.kernels", *words, "--size", "1024x576"))
    _LOGGER.warning(
        "no kernels are tuned for %s%s; torch's own draw, slower. To tune: PYTHONPATH=%s %s",
        facts.get("device", "this GPU"), f" ({why})" if why else "", libraries, command,
    )  # fmt: skip
