"""Real servers for tests with the marker ``infra``: started when the first test asks, shared, ended with the session.

Tests keep apart by databases, buckets and topics of their own. A test that stops or kills a server starts its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from deploy.local.servers.base import Server
    from deploy.local.servers.kafka import Kafka
    from deploy.local.servers.minio import Minio
    from deploy.local.servers.mongo import MongoStandIn
    from deploy.local.servers.toxiproxy import Toxiproxy

S = TypeVar("S", bound="Server")


@contextmanager
def started(server: S) -> Iterator[S]:
    """Run a server for as long as the block; it dies with this process in any case."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    from deploy.local.servers.kafka import Kafka

    with started(Kafka(tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    from deploy.local.servers.minio import Minio

    with started(Minio(tmp_path_factory.mktemp("minio"))) as server:
        yield server


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoStandIn]:
    from deploy.local.servers.mongo import MongoStandIn

    with started(MongoStandIn(tmp_path_factory.mktemp("mongo"))) as server:
        yield server


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    from deploy.local.servers.toxiproxy import Toxiproxy

    with started(Toxiproxy(tmp_path_factory.mktemp("toxiproxy"))) as server:
        yield server
