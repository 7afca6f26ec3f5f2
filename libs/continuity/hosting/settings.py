"""Settings that every service has. They come from ``CONTINUITY_…`` variables; nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from continuity.messaging.topics import TOPICS_FOLDER


def default_home() -> Path:
    """Return the XDG data folder of this program."""
    return XdgSettings().data_home.expanduser() / "continuity"


class XdgSettings(BaseSettings):
    """The XDG variables that matter here."""

    model_config = SettingsConfigDict(env_prefix="XDG_", frozen=True)

    data_home: Path = Path("~/.local/share")


class PlatformSettings(BaseSettings):
    """Where a service keeps things and whom it talks to."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    listen_address: str = "127.0.0.1:0"
    bootstrap_servers: str = "127.0.0.1:9092"
    topics_folder: Path = TOPICS_FOLDER
    cpu_workers: int = Field(default=2, ge=1, le=64)
    drain_s: float = Field(default=10.0, ge=0, le=600)
    log_level: str = "INFO"

    @property
    def documents_path(self) -> Path:
        """The SQLite file of the embedded document store."""
        return self.home / "documents.sqlite3"

    @property
    def objects_folder(self) -> Path:
        """The folder of the embedded object store."""
        return self.home / "objects"
