"""Everything that runs: servers, proxies between them and the services, Triton, two replicas of every service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from deploy.local.distributed import Distributed
from deploy.local.ports import free_port
from deploy.local.servers.base import at_once
from deploy.local.servers.minio import BUCKET, Minio
from deploy.local.servers.mongo import MongoStandIn
from deploy.local.servers.toxiproxy import Proxy, Toxiproxy
from tests.chaos.clocks import movable_clocks
from tests.chaos.disks import Disk, fillable_disk
from tests.chaos.kafka import KafkaOfManyWays
from tests.chaos.schedule import REPLICAS, SERVICES, Fault

T = TypeVar("T")

DATABASE = "continuity"
OWN_WAYS = ("kafka", "mongo", "minio")
"""The servers to which each service has a proxy of its own."""
SETTLING_GRACE_S = 3
"""How soon objects are collected that nobody names, once nothing is under way."""


class Topology:
    """In one folder, on ports of its own; ends with this process in any case. Methods block.

    ``skipped`` says which faults this machine can't bring about, and why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.skipped: dict[Fault, str] = {}
        ways = ("triton", *(f"{server}-{name}" for server in OWN_WAYS for name in SERVICES))
        self._addresses = {way: f"127.0.0.1:{free_port()}" for way in ways}
        self.toxiproxy = Toxiproxy(folder / "toxiproxy")
        own = {way: address for way, address in self._addresses.items() if way.startswith("kafka-")}
        self.kafka = KafkaOfManyWays(folder / "kafka", own)
        self.minio = Minio(folder / "minio")
        self.mongo = MongoStandIn(folder / "mongo")
        self.clocks = self._or_skip(Fault.CLOCK, movable_clocks(folder / "clocks"))
        self.disk: Disk | None = None
        self.services = self._distributed(folder / "services")
        self.proxies: dict[str, Proxy] = {}

    def start(self) -> None:
        """Return when all answer."""
        self.disk = self._or_skip(Fault.FULL_DISK, fillable_disk(self.minio.folder / "objects"))
        # The proxies first: until they listen, their ports may become somebody else's.
        self.toxiproxy.start()
        for way, upstream in self._upstreams().items():
            port = int(self._addresses[way].rsplit(":", 1)[1])
            self.proxies[way] = self.toxiproxy.proxy(way, upstream, port)
        at_once([self.kafka.start, self.minio.start, self.mongo.start])
        self.minio.create_bucket()
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

    def _upstreams(self) -> dict[str, str]:
        upstreams = {"triton": self.services.triton.address, **self.kafka.upstreams}
        for name in SERVICES:
            upstreams |= {f"mongo-{name}": self.mongo.address, f"minio-{name}": self.minio.address}
        return upstreams

    def _distributed(self, folder: Path) -> Distributed:
        common = {
            **self.minio.variables,
            "CONTINUITY_MONGODB_DATABASE": DATABASE,
            "CONTINUITY_S3_BUCKET": BUCKET,
        }
        own = {replica: self._own(replica) for replica in REPLICAS}
        return Distributed(folder, common, replicas=2, services=SERVICES, own=own)

    def _own(self, replica: str) -> Mapping[str, str]:
        service, _, number = replica.partition("-")
        clock = self.clocks.variables(replica) if self.clocks and number == "2" else {}
        return {
            "CONTINUITY_BOOTSTRAP_SERVERS": self._addresses[f"kafka-{service}"],
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
