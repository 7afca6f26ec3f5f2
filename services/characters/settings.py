"""Settings of the characters service."""

from __future__ import annotations

from pydantic import Field

from continuity.hosting.settings import PlatformSettings


class Settings(PlatformSettings):
    """How long a photograph waits for the answers of vision and matting."""

    answer_deadline_s: float = Field(default=86_400.0, gt=0, le=604_800)
