"""Settings that every service has. They come from ``CONTINUITY_…`` variables; nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from continuity.messaging.connection import KafkaConnection, SaslMechanism, SecurityProtocol
from continuity.messaging.topics import TOPICS_FOLDER
from continuity.objects.s3_settings import S3Settings


def default_home() -> Path:
    """Return the XDG data folder of this program."""
    return XdgSettings().data_home.expanduser() / "continuity"


class XdgSettings(BaseSettings):
    """The XDG variables that matter here."""

    model_config = SettingsConfigDict(env_prefix="XDG_", frozen=True)

    data_home: Path = Path("~/.local/share")


class PlatformSettings(BaseSettings):
    """Where a service keeps things and whom it talks to.

    Documents are in SQLite under ``home`` unless ``mongodb_url`` is set, objects in a folder there unless
    ``s3_endpoint`` is. An object that no document names is removed when it is older than ``collect_after_s``.
    """

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    listen_address: str = "127.0.0.1:0"
    bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_replication_factor: int = Field(default=1, ge=1, le=9)
    topics_folder: Path = TOPICS_FOLDER
    mongodb_url: SecretStr = SecretStr("")
    mongodb_database: str = Field(default="continuity", pattern=r"^[a-zA-Z0-9_-]{1,63}$")
    s3_endpoint: str = ""
    s3_bucket: str = Field(default="continuity", min_length=3, max_length=63)
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")
    s3_public_url: str = ""
    s3_create_bucket: bool = False
    collect_after_s: float = Field(default=3600.0, gt=0, le=2_592_000)
    otlp_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    telemetry_content: bool = False
    cpu_workers: int = Field(default=2, ge=1, le=64)
    drain_s: float = Field(default=10.0, ge=0, le=600)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @property
    def documents_path(self) -> Path:
        """The SQLite file of the embedded document store."""
        return self.home / "documents.sqlite3"

    @property
    def objects_folder(self) -> Path:
        """The folder of the embedded object store."""
        return self.home / "objects"

    @property
    def kafka(self) -> KafkaConnection:
        """How the broker is reached."""
        return KafkaConnection(
            bootstrap_servers=self.bootstrap_servers,
            security_protocol=self.kafka_security_protocol,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password,
        )

    @property
    def s3(self) -> S3Settings:
        """Where objects are, given that ``s3_endpoint`` is set. Raises ``ObjectStoreMisconfigured``."""
        return S3Settings(
            endpoint=self.s3_endpoint,
            bucket=self.s3_bucket,
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key,
            region=self.s3_region,
            public_url=self.s3_public_url,
            create_bucket=self.s3_create_bucket,
        )
