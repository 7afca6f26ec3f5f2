"""What the environment tells the command line."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_DATA_HOME = Path.home() / ".local" / "share"


class Settings(BaseSettings):
    """Read from ``CONTINUITY_…`` and ``XDG_DATA_HOME``."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", env_ignore_empty=True, frozen=True)

    address: str = ""
    """host:port of the services; empty: the embedded runtime is joined or started."""
    project: str = "default"
    command: str = "continuity"
    """How the user calls this program; the launcher says so."""
    data_home: Path = Field(default=_DATA_HOME, validation_alias="XDG_DATA_HOME")
    home: Path = Field(default_factory=lambda data: data["data_home"] / "continuity")
    """Where the embedded runtime keeps its state."""
    otlp_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Where the command's own traces go, ``http(s)://host:port``; empty: nowhere."""

    @field_validator("home", "data_home")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def log_file(self) -> Path:
        """Where a runtime that a command started writes what it has to say."""
        return self.home / "logs" / "runtime.log"

    def child_environment(self) -> dict[str, str]:
        """Return the environment for a runtime that must find the same home."""
        return {**os.environ, "CONTINUITY_HOME": str(self.home)}
