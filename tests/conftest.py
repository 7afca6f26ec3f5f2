"""Real servers for tests with the marker ``infra``: started when the first test asks, shared, ended with the session.

Tests keep apart by databases, buckets and topics of their own. A test that stops or kills a server starts its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from continuity.documents import Collection, Documents
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


@pytest_asyncio.fixture(params=["sqlite", pytest.param("mongo", marks=[pytest.mark.infra, pytest.mark.slow])])
async def open_documents(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Documents]]]:
    """Open the test's own document store with these collections; a second time, as another process would."""
    from continuity.kernel.ids import new_id

    opened: list[Documents] = []
    database = f"test_{new_id()}"
    url = request.getfixturevalue("mongo").url if request.param == "mongo" else ""

    async def another(*collections: Collection) -> Documents:
        opened.append(await _opened(url, database, tmp_path, collections))
        return opened[-1]

    yield another
    for store in opened:
        await store.close()
    if url:
        _dropped(url, database)


async def _opened(url: str, database: str, folder: Path, collections: tuple[Collection, ...]) -> Documents:
    from continuity.documents.mongo import MongoDocuments
    from continuity.documents.sqlite import SqliteDocuments

    if url:
        return await MongoDocuments(url, database, collections).open()
    return await SqliteDocuments(folder / "documents.sqlite3", collections).open()


def _dropped(url: str, database: str) -> None:
    from pymongo import MongoClient

    with MongoClient(url) as client:
        client.drop_database(database)
