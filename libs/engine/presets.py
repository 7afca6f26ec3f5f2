"""Fast paths: what a checkpoint or LoRA that was distilled to few steps is drawn with, and what it cannot do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import Refused
from engine.request import RenderRequest

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True)
class Preset:
    """Values for the fields that a request leaves out, and limits for those that it gives.

    Up to a guidance of 1 the negative prompt is not drawn with, which is what most of them were distilled to.
    """

    name: str
    sampler: str
    schedule: str
    steps: int
    most_steps: int
    guidance: float = 0.0
    most_guidance: float = 1.0
    scheduling: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the checkpoint's scheduler that single files cannot state."""

    @property
    def defaults(self) -> dict[str, Any]:
        """Fields of ``RenderRequest`` by name."""
        return {"sampler": self.sampler, "schedule": self.schedule, "steps": self.steps, "guidance": self.guidance}

    def require(self, request: RenderRequest) -> None:
        """Raise ``Refused`` for values that would burn or blur the picture."""
        if request.steps > self.most_steps:
            raise Refused("steps", request.steps, f"{self.name} is drawn in 1 to {self.most_steps}")
        if request.guidance > self.most_guidance:
            raise Refused("guidance", request.guidance, f"{self.name} takes at most {self.most_guidance:g}")


LIGHTNING = "sdxl-lightning"
PRESETS: Mapping[str, Preset] = {
    each.name: each
    for each in (
        Preset("sdxl-turbo", "euler-ancestral", "sgm-uniform", steps=1, most_steps=4),
        Preset("sd-turbo", "euler", "sgm-uniform", steps=1, most_steps=4),
        Preset(LIGHTNING, "euler", "sgm-uniform", steps=4, most_steps=8),
        Preset("lcm", "lcm", "normal", steps=4, most_steps=8, guidance=1.0, most_guidance=2.0),
    )
}
"""Sources: the model cards of SDXL-Turbo, SD-Turbo, SDXL-Lightning and LCM-LoRA; both Turbos draw 512 px."""

_STEPS = re.compile(r"-(\d)-?steps?\b")
_BARE_STEPS = re.compile(r"\bsdxl-lightning-(\d)(?!\d|-\d)")
"""Behind other names, and before another number, a number is a version."""


def preset(checkpoint: str, loras: Sequence[str] = ()) -> Preset | None:
    """Return the preset that the name of a checkpoint, or else of one of its LoRAs, speaks of; None for ordinary ones.

    SDXL-Lightning has weights for each number of steps, named by it ("sdxl-lightning-8step", "sdxl-lightning-8"); those
    for one step predict the picture and not its noise.
    """
    for name in (checkpoint, *loras):
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower())
        for each in PRESETS.values():
            if f"-{each.name}-" in f"-{plain}-":
                return _for_steps(each, plain)
    return None


def _for_steps(found: Preset, name: str) -> Preset:
    named = _STEPS.search(name) or _BARE_STEPS.search(name)
    if not named or not int(named[1]):
        return found
    steps = int(named[1])
    pictured = {"prediction_type": "sample"} if found.name == LIGHTNING and steps == 1 else {}
    return replace(found, steps=steps, most_steps=steps, scheduling=pictured)
