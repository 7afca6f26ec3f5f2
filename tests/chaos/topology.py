"""Everything that runs: servers, proxies between them and the services, Triton, two replicas of every service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from deploy.local.distributed import Distributed, at_once
from deploy.local.ports import free_port
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import BUCKET, Minio
from deploy.local.servers.mongo import MongoStandIn
from deploy.local.servers.toxiproxy import Proxy, Toxiproxy
from tests.chaos.clocks import movable_clocks
from tests.chaos.disks import Disk, fillable_disk
from tests.chaos.schedule import REPLICAS, SERVICES, Fault

T = TypeVar("T")

DATABASE = "continuity"
SETTLING_GRACE_S = 3
"""How soon objects are collected that nobody names, once nothing is under way."""


class Topology:
    """In one folder, on ports of its own; ends with this process in any case. Methods block.

    ``skipped`` says which faults this machine can't bring about, and why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.skipped: dict[Fault, str] = {}
        ports = _ports("kafka", "triton", *(f"{server}-{name}" for server in ("mongo", "minio") for name in SERVICES))
        self._addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.toxiproxy = Toxiproxy(folder / "toxiproxy")
        self.kafka = Kafka(folder / "kafka", proxied_address=self._addresses["kafka"])
        self.minio = Minio(folder / "minio")
        self.mongo = MongoStandIn(folder / "mongo")
        self.clocks = self._or_skip(Fault.CLOCK, movable_clocks(folder / "clocks"))
        self.disk: Disk | None = None
        self.services = self._distributed(folder / "services")
        self.proxies: dict[str, Proxy] = {}

    def start(self) -> None:
        """Return when all answer."""
        self.disk = self._or_skip(Fault.FULL_DISK, fillable_disk(self.minio.folder / "objects"))
        at_once([self.toxiproxy.start, self.kafka.start, self.minio.start, self.mongo.start])
        self.minio.create_bucket()
        upstreams = {"kafka": f"127.0.0.1:{self.kafka.proxied_port}", "triton": self.services.triton.address}
        upstreams |= {f"mongo-{name}": self.mongo.address for name in SERVICES}
        upstreams |= {f"minio-{name}": self.minio.address for name in SERVICES}
        for name, upstream in upstreams.items():
            port = int(self._addresses[name].rsplit(":", 1)[1])
            self.proxies[name] = self.toxiproxy.proxy(name, upstream, port)
        self.services.start()

    def collectors(self) -> Distributed:
        """Return one replica of each service that stores objects, told to collect at once what nobody names."""
        told = {**self.kafka.variables, **self.mongo.variables, **self.minio.variables}
        told["CONTINUITY_COLLECT_AFTER_S"] = str(SETTLING_GRACE_S)
        names = ("characters", "matting", "rendering")
        return Distributed(self.folder / "collectors", told, replicas=1, services=names)

    def stop(self) -> None:
        """End everything, in whatever state it is; logs stay."""
        self.services.stop()
        at_once([self.toxiproxy.stop, self.kafka.stop, self.minio.stop, self.mongo.stop])
        if self.disk:
            self.disk.close()

    def _distributed(self, folder: Path) -> Distributed:
        common = {
            **self.minio.variables,
            "CONTINUITY_BOOTSTRAP_SERVERS": self._addresses["kafka"],
            "CONTINUITY_MONGODB_DATABASE": DATABASE,
            "CONTINUITY_S3_BUCKET": BUCKET,
        }
        own = {replica: self._own(replica) for replica in REPLICAS}
        return Distributed(folder, common, replicas=2, services=SERVICES, own=own)

    def _own(self, replica: str) -> Mapping[str, str]:
        service, _, number = replica.partition("-")
        clock = self.clocks.variables(replica) if self.clocks and number == "2" else {}
        return {
            "CONTINUITY_MONGODB_URL": f"mongodb://{self._addresses[f'mongo-{service}']}",
            "CONTINUITY_S3_ENDPOINT": f"http://{self._addresses[f'minio-{service}']}",
            "CONTINUITY_TRITON_ADDRESS": self._addresses["triton"],
            **clock,
        }

    def _or_skip(self, fault: Fault, made: T | str) -> T | None:
        if isinstance(made, str):
            self.skipped[fault] = made
            return None
        return made


def _ports(*names: str) -> dict[str, int]:
    """Return a free port for each name, all different."""
    ports: set[int] = set()
    while len(ports) < len(names):
        ports.add(free_port())
    return dict(zip(names, ports, strict=True))
