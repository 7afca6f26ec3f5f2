"""Settings of the rendering service."""

from __future__ import annotations

from pydantic import Field

from continuity.hosting.settings import PlatformSettings

MAX_SUBMISSION = 2_000


class Settings(PlatformSettings):
    """Which Triton draws, how much at once, how long a job waits for its cast and its prompt, and how much is taken on.

    ``sole_renderer`` says that no other process leases jobs from these documents: whatever is leased when this one
    starts was leased by a process that is dead.
    """

    triton_address: str = "127.0.0.1:8001"
    render_slots: int = Field(default=2, ge=1, le=64)
    lease_s: float = Field(default=10.0, ge=0.2, le=600)
    cast_deadline_s: float = Field(default=600.0, gt=0, le=86_400)
    prompt_deadline_s: float = Field(default=86_400.0, gt=0, le=604_800)
    max_unfinished_jobs: int = Field(default=200_000, ge=2 * MAX_SUBMISSION)
    sole_renderer: bool = False
