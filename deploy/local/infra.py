"""The servers that the services need: ``python -m deploy.local.infra up | down | status``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.servers.base import Server, ServerFailed, at_once
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import Minio
from deploy.local.servers.mongo import MongoStandIn
from deploy.local.servers.secrets import write_private

SECRETS = frozenset({"CONTINUITY_S3_SECRET_KEY", "CONTINUITY_KAFKA_SASL_PASSWORD"})


class XdgSettings(BaseSettings):
    """The XDG variables that matter here."""

    model_config = SettingsConfigDict(env_prefix="XDG_", frozen=True)

    state_home: Path = Path("~/.local/state")


def state_folder(name: str) -> Path:
    """Return where something of ours keeps its state."""
    return XdgSettings().state_home.expanduser() / "continuity" / name


class InfraSettings(BaseSettings):
    """Ports and folder of the servers, from ``CONTINUITY_INFRA_…``."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_INFRA_", frozen=True)

    data: Path = Field(default_factory=lambda: state_folder("infra"))
    kafka_port: int = 9092
    kafka_secured_port: int = 9093
    kafka_mutual_port: int = 9094
    kafka_controller_port: int = 9095
    minio_port: int = 9000
    minio_access_key: str = ""
    minio_secret_key: SecretStr = SecretStr("")
    mongo_port: int = 27017


class Infra:
    """Kafka, MinIO and the MongoDB stand-in, side by side in one folder; they outlive whoever starts them."""

    def __init__(self, settings: InfraSettings) -> None:
        folder = settings.data
        self.kafka = Kafka(
            folder / "kafka",
            settings.kafka_port,
            secured_port=settings.kafka_secured_port,
            mutual_port=settings.kafka_mutual_port,
            controller_port=settings.kafka_controller_port,
            detached=True,
        )
        self.minio = Minio(
            folder / "minio",
            settings.minio_port,
            access_key=settings.minio_access_key,
            secret_key=settings.minio_secret_key.get_secret_value(),
            detached=True,
        )
        self.mongo = MongoStandIn(folder / "mongo", settings.mongo_port, detached=True)
        self.environment_file = folder / "environment"

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them."""
        return (self.kafka, self.minio, self.mongo)

    @property
    def variables(self) -> dict[str, str]:
        """What a service is told to use them."""
        return {**self.kafka.variables, **self.mongo.variables, **self.minio.variables}

    def start(self) -> None:
        """Return when all answer and the bucket is there. Raises ``ServerFailed``; what came up stays up."""
        at_once([server.start for server in self.servers])
        self.minio.create_bucket()
        write_private(
            self.environment_file, "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.variables.items())
        )

    def stop(self) -> None:
        """Stop all of them; their data stay."""
        at_once([server.stop for server in self.servers])


def up(infra: Infra) -> None:
    """Start the servers and say how services reach them."""
    infra.start()
    status(infra)
    for name, value in infra.variables.items():
        print(f"{name}={'(in the file below)' if name in SECRETS else shlex.quote(value)}")
    print(f"# all of it: set -a; . {shlex.quote(str(infra.environment_file))}; set +a")


def down(infra: Infra) -> None:
    """Stop the servers."""
    infra.stop()
    status(infra)


def status(infra: Infra) -> bool:
    """Say what runs where; return whether all of them answer."""
    answering = [_told(server) for server in infra.servers]
    return all(answering)


def _told(server: Server) -> bool:
    alive, answers = server.alive(), server.alive() and server.answers()
    state = "not running"
    if alive:
        state = f"{'answers' if answers else 'does not answer'} at {server.address}, process {server.pid}"
    print(f"# {server.name:<6} {state}; log {server.log}")
    return answers


COMMANDS: dict[str, Callable[[Infra], bool | None]] = {"up": up, "down": down, "status": status}


def main() -> int:
    """Run one command; return the exit code: 1 where a server did not come up, or ``status`` finds one that is away."""
    parser = argparse.ArgumentParser(prog="deploy.local.infra", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        well = COMMANDS[parser.parse_args().command](Infra(InfraSettings()))
    except ServerFailed as failure:
        print(f"infra: {failure}\ninfra: ports come from CONTINUITY_INFRA_KAFKA_PORT and the like", file=sys.stderr)
        return 1
    return 1 if well is False else 0


if __name__ == "__main__":
    sys.exit(main())
