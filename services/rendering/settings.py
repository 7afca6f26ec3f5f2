"""Settings of the rendering service."""

from __future__ import annotations

from pydantic import Field

from continuity.hosting.settings import PlatformSettings


class Settings(PlatformSettings):
    """Which Triton draws, how much at once, and how long a job waits for its cast."""

    triton_address: str = "127.0.0.1:8001"
    render_slots: int = Field(default=2, ge=1, le=64)
    cast_deadline_s: float = Field(default=600.0, gt=0, le=86_400)
