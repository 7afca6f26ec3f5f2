"""Every service as a process, with a proxy between them and each server, so that a test can take one away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import minio as s3
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from continuity.client import ContinuityClient
from deploy.local.distributed import Distributed
from deploy.local.ports import free_port
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import Minio
from deploy.local.servers.mongo import MongoStandIn
from deploy.local.servers.toxiproxy import Proxy, Toxiproxy
from tests.component.telemetry.receiver import Collector, receiving
from tests.conftest import started

BUCKET = DATABASE = "studio"
UNUSED_PASSWORD = "pineapple-4711"


@dataclass(frozen=True)
class Studio:
    """The running services, ways to the servers that go around them, and what the services say to a collector."""

    services: Distributed
    kafka: Kafka
    ways: dict[str, Proxy]
    objects: s3.Minio
    documents: Database[dict[str, Any]]
    collector: Collector
    secrets: tuple[str, ...]


@pytest.fixture(scope="session")
def studio(
    minio: Minio, mongo: MongoStandIn, toxiproxy: Toxiproxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """One replica of each service and the real Triton; tests leave every way mended."""
    folder = tmp_path_factory.mktemp("studio")
    kafka_port, kafka_way = free_port(), free_port()
    ways = {
        "kafka": toxiproxy.proxy("kafka", f"127.0.0.1:{kafka_port}", kafka_way),
        "minio": toxiproxy.proxy("minio", minio.address),
        "mongo": toxiproxy.proxy("mongo", mongo.address),
    }
    variables = {
        **minio.variables,
        "CONTINUITY_BOOTSTRAP_SERVERS": ways["kafka"].address,
        "CONTINUITY_S3_ENDPOINT": f"http://{ways['minio'].address}",
        "CONTINUITY_S3_BUCKET": minio.create_bucket(BUCKET),
        "CONTINUITY_MONGODB_URL": f"mongodb://{ways['mongo'].address}",
        "CONTINUITY_MONGODB_DATABASE": DATABASE,
        "CONTINUITY_KAFKA_SASL_PASSWORD": UNUSED_PASSWORD,
    }
    with ExitStack() as stack:
        collector = stack.enter_context(receiving())
        kafka = Kafka(folder / "kafka", proxied_port=kafka_port, proxied_address=ways["kafka"].address)
        stack.enter_context(started(kafka))
        services = Distributed(folder / "services", variables | observing(collector), replicas=1)
        services.start()
        stack.callback(services.stop)
        documents = stack.enter_context(MongoClient[dict[str, Any]](mongo.url))[DATABASE]
        objects = s3.Minio(minio.address, minio.access_key, minio.secret_key, secure=False)
        yield Studio(services, kafka, ways, objects, documents, collector, (minio.secret_key, UNUSED_PASSWORD))


def observing(collector: Collector) -> dict[str, str]:
    """Return what makes a process tell the collector everything, and soon."""
    return {
        "CONTINUITY_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }


@pytest.fixture
async def client(studio: Studio, request: pytest.FixtureRequest) -> AsyncIterator[ContinuityClient]:
    """A caller of the studio with a project of its own, which is named after the test."""
    project = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-60:].strip("-").lower()
    async with ContinuityClient(studio.services.address, project=project) as opened:
        yield opened
