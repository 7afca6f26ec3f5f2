"""Samplers: what becomes of a latent between two evaluations of the UNet.

Names are checked without torch, so that a worker process is small; the samplers are imported when they are first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.samplers.names import NAMES, POSSIBLE, SCHEDULES, chosen, default_schedule
from engine.samplers.strength import steps_taken

if TYPE_CHECKING:
    from engine.samplers.stepping import Sampler, sampler

__all__ = ["NAMES", "POSSIBLE", "SCHEDULES", "Sampler", "chosen", "default_schedule", "sampler", "steps_taken"]


def __getattr__(name: str) -> Any:
    if name not in ("Sampler", "sampler"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.samplers import stepping  # noqa: PLC0415 - imports torch

    return getattr(stepping, name)
