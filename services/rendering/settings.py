"""Settings of the rendering service."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field

from continuity.hosting.settings import PlatformSettings

MAX_SUBMISSION = 2_000
RendererName = Literal["previz", "sdxl", "sdxl-tiny"]
PREVIZ_SLOTS, ENGINE_SLOTS = 2, 1
"""How many are drawn together where nobody says. The engine draws one at a megapixel, on a processor at any size."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class RendererSettings(PlatformSettings):
    """What draws: ``previz`` needs nothing, ``sdxl`` a model, ``sdxl-tiny`` generates one of random weights.

    ``models`` is the folder that models lie in, by default ``models`` under ``home``.
    """

    renderer: RendererName = "previz"
    models: Path | None = None

    @property
    def models_folder(self) -> Path:
        """The folder of models, one folder each."""
        return (self.models or self.home / "models").expanduser().absolute()

    @property
    def diffuses(self) -> bool:
        """Whether the diffusion engine draws."""
        return self.renderer != "previz"


class Settings(RendererSettings):
    """Which Triton draws, how much at once, how long a job waits for its cast and its prompt, and how much is taken on.

    ``sole_renderer`` says that no other process leases jobs from these documents: whatever is leased when this one
    starts was leased by a process that is dead. ``render_replicas`` processes share one Triton. ``render_slots`` are
    drawn together; the diffusion engine is given one job ahead, and one urgent job more.

    The rest is what the diffusion engine is asked for. ``checkpoint`` is the renderer's name where it is empty.
    ``layout_strength`` is how much the previz frame holds, 0 does without it; ``layout_guide`` is ``img2img`` or the
    name of a ControlNet. ``identity`` is ``auto`` (the IP-Adapter among the models, if there is one), ``off``, or the
    name of one. ``render_timeout_s`` is the longest that an attempt may take from its first step on.
    """

    triton_address: str = "127.0.0.1:8001"
    render_slots: int | None = Field(default=None, ge=1, le=64)
    render_replicas: int = Field(default=1, ge=1, le=64)
    lease_s: float = Field(default=10.0, ge=0.2, le=600)
    cast_deadline_s: float = Field(default=600.0, gt=0, le=86_400)
    prompt_deadline_s: float = Field(default=86_400.0, gt=0, le=604_800)
    max_unfinished_jobs: int = Field(default=200_000, ge=2 * MAX_SUBMISSION)
    sole_renderer: bool = False
    checkpoint: str = Field(default="", pattern=rf"^$|{_NAME}")
    steps: int = Field(default=20, ge=1, le=150)
    guidance: float = Field(default=6.0, ge=0, le=30, allow_inf_nan=False)
    sampler: str = Field(default="dpmpp-2m", max_length=40)
    schedule: str = Field(default="karras", max_length=40)
    layout_strength: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    layout_guide: str = Field(default="img2img", pattern=_NAME)
    identity: str = Field(default="auto", pattern=_NAME)
    identity_strength: float = Field(default=0.6, ge=0, le=1, allow_inf_nan=False)
    commercial: bool = False
    preview_every: int = Field(default=5, ge=1, le=150)
    render_timeout_s: float = Field(default=600.0, ge=1, le=3000)

    @property
    def slots(self) -> int:
        """How many jobs are leased at once.

        For the diffusion engine that is this process's share of what it draws together and one more, whose guides are
        made meanwhile: what has been drawn is at once followed by the next.
        """
        if not self.diffuses:
            return self.render_slots or PREVIZ_SLOTS
        return math.ceil(((self.render_slots or ENGINE_SLOTS) + 1) / self.render_replicas)

    @property
    def urgent_slots(self) -> int:
        """How many urgent jobs each process leases beyond its slots; previz is done before anybody could overtake."""
        return int(self.diffuses)
