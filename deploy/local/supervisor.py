"""Runs the services distributed, in the background: ``python -m deploy.local.supervisor up | down | status | run``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.cache import ROOT
from deploy.local.distributed import Distributed
from deploy.local.infra import Infra, InfraSettings, state_folder
from deploy.local.infra import status as infra_status
from deploy.local.servers.base import Server, ServerFailed

OURS = "CONTINUITY_"
NOT_FOR_SERVICES = ("CONTINUITY_INFRA_", "CONTINUITY_DISTRIBUTED_")
DRAIN_LIMIT_S = 90.0


class DistributedSettings(BaseSettings):
    """How many replicas, where, behind which port; from ``CONTINUITY_DISTRIBUTED_…``."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_DISTRIBUTED_", frozen=True)

    data: Path = Field(default_factory=lambda: state_folder("distributed"))
    replicas: int = Field(default=2, ge=1, le=16)
    port: int = 50050


class Supervisor(Server):
    """The background process that holds Triton, the services and the proxy; ``port`` is the proxy's."""

    name = "supervisor"
    start_limit_s = 180.0

    def __init__(self, settings: DistributedSettings) -> None:
        super().__init__(settings.data, settings.port, detached=True)

    def command(self) -> Sequence[str]:
        """Return the command line; what told of an earlier run is removed."""
        self._ready.unlink(missing_ok=True)
        return [sys.executable, "-m", "deploy.local.supervisor", "run"]

    def environment(self) -> Mapping[str, str]:
        """Return our own variables, from which ``run`` makes those of the services."""
        own = {name: value for name, value in os.environ.items() if name.startswith((OURS, "XDG_"))}
        return {**super().environment(), **own, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"}

    def answers(self) -> bool:
        """Tell whether everything that it holds has come up."""
        return self._ready.exists()

    def say_ready(self) -> None:
        """Tell whoever waits that everything answers."""
        self._ready.touch()

    @property
    def _ready(self) -> Path:
        return self.folder / "ready"


def up(settings: DistributedSettings) -> None:
    """Start the servers and the services, and say where they are."""
    infra = Infra(InfraSettings())
    infra.start()
    infra_status(infra)
    supervisor = Supervisor(settings)
    supervisor.start()
    status(settings)
    print(f"CONTINUITY_ADDRESS={supervisor.address}")
    print(f"# try: CONTINUITY_ADDRESS={supervisor.address} bin/continuity render examples/film/shotlist.yaml")


def down(settings: DistributedSettings) -> None:
    """Drain and end the services; the servers go on."""
    Supervisor(settings).stop(DRAIN_LIMIT_S)
    status(settings)


def status(settings: DistributedSettings) -> None:
    """Say whether the services run."""
    supervisor = Supervisor(settings)
    state = f"run at {supervisor.address}, process {supervisor.pid}" if supervisor.alive() else "do not run"
    print(f"# services {state}; logs {settings.data / 'logs'}")


def run(settings: DistributedSettings) -> None:
    """Hold the services until SIGTERM or SIGINT, then drain them."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ending.set())
    distributed = Distributed(settings.data, _variables(), replicas=settings.replicas, port=settings.port)
    distributed.start()
    Supervisor(settings).say_ready()
    ending.wait()
    distributed.stop()


def _variables() -> dict[str, str]:
    given = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(OURS) and not name.startswith(NOT_FOR_SERVICES)
    }
    return {**Infra(InfraSettings()).variables, **given}


COMMANDS: dict[str, Callable[[DistributedSettings], None]] = {"up": up, "down": down, "status": status, "run": run}


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local.supervisor", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        COMMANDS[parser.parse_args().command](DistributedSettings())
    except ServerFailed as failure:
        print(f"distributed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
