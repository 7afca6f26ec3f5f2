"""Settings of the characters service."""

from __future__ import annotations

from continuity.hosting.settings import PlatformSettings


class Settings(PlatformSettings):
    """Nothing beyond what every service has."""
