"""What the units of one request share once its checkpoint is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint import Checkpoint
from engine.drawing.expert import Expert
from engine.drawing.passes import Pass
from engine.drawing.steps import Steps
from engine.kernels.port import Kernels
from engine.presets import preset
from engine.request import RenderRequest
from engine.samplers import sampler

if TYPE_CHECKING:
    from engine.samplers import Sampler

__all__ = ["Scene"]

REFINED_BELOW = 200
"""Of 1000 timesteps the last fifth, which the refiner was trained on. Source: Podell et al., SDXL (2023), 2.5."""


@dataclass
class Scene:
    """What is not given at first is filled in by the units that find it out."""

    request: RenderRequest
    base: Expert
    kernels: Kernels
    refiner: Expert | None = None
    adapters: dict[str, str] = field(default_factory=dict)
    """SHA-256 by name of what took part beside checkpoint and LoRAs."""
    steps: Steps = field(init=False)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that was asked for; its autoencoder is used throughout."""
        return self.base.checkpoint

    @property
    def experts(self) -> list[Expert]:
        """All that evaluate steps of this request."""
        return [self.base] if self.refiner is None else [self.base, self.refiner]

    def sampler(self, each: Pass, seed: int) -> Sampler:
        """Return a sampler of this pass's own."""
        asked, fast = self.request, preset(self.request.checkpoint)
        strength = 1.0 if each.strength is None else each.strength
        config = {**self.checkpoint.scheduler_config, **(fast.scheduling if fast else {})}
        return sampler(asked.sampler, asked.schedule, each.steps, config, seed, strength)

    def expert(self, timestep: float) -> Expert:
        """Return who evaluates a step: below ``REFINED_BELOW`` the refiner, if there is one."""
        return self.base if self.refiner is None or timestep >= REFINED_BELOW else self.refiner
