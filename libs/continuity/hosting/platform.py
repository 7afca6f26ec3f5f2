"""The technology that services stand on, opened once a process and handed to each service's bootstrap."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from continuity.compute.pool import CpuPool
from continuity.documents.mongo import MongoDocuments
from continuity.documents.port import Collection, Documents
from continuity.documents.sqlite import SqliteDocuments
from continuity.hosting.settings import PlatformSettings
from continuity.kernel.errors import InvalidValue, Misconfigured, Unavailable
from continuity.messaging.administration import ensure_topics
from continuity.messaging.backoff import Backoff
from continuity.messaging.bus import FETCH_WAIT_S, EventBus
from continuity.messaging.checkpoints import Checkpoints, NoCheckpoints
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.embedded_broker import EMBEDDED_FETCH_WAIT_S
from continuity.messaging.topics import Topic, consumer_groups, load_topics, topics_of
from continuity.objects.filesystem import FilesystemObjectStore
from continuity.objects.port import ObjectStore
from continuity.objects.s3 import S3ObjectStore

CPU_QUEUE = 256
CPU_TIMEOUT_S = 120.0
START_PATIENCE_S = 120.0
"""How long a process waits at its start for a store that does not answer yet."""
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 5.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Platform:
    """The adapters that the settings chose."""

    kafka: KafkaConnection
    replication_factor: int
    topics: Mapping[str, Topic]
    documents: Documents
    objects: ObjectStore
    cpu: CpuPool
    checkpoints: Checkpoints
    backlog: Callable[[], Awaitable[int]] | None
    fetch_wait_s: float = FETCH_WAIT_S

    def bus(self, service: str) -> EventBus:
        """Return a new bus for a service, which makes the topics that the service needs."""
        topics = topics_of(service, self.topics)
        prepare = partial(ensure_topics, self.kafka, topics, self.replication_factor)
        return EventBus(self.kafka, service, prepare, self.fetch_wait_s)

    async def close(self) -> None:
        """Let go of everything."""
        await self.cpu.close()
        await self.objects.close()
        await self.documents.close()


async def open_platform(
    settings: PlatformSettings, collections: Iterable[Collection], *, broker_forgets: bool = False
) -> Platform:
    """Open the adapters that the settings choose. Raises ``Misconfigured``, ``InvalidValue`` and ``Unavailable``.

    Where the broker forgets, the store remembers what was published and who has not handled it yet; only SQLite does.
    """
    if broker_forgets and settings.mongodb_url.get_secret_value():
        limit = "it must be empty: the embedded runtime keeps its documents in SQLite"
        raise InvalidValue(field="CONTINUITY_MONGODB_URL", value="…", limit=limit)
    topics = load_topics(settings.topics_folder)
    documents = await _documents(settings, tuple(collections), consumer_groups(topics) if broker_forgets else None)
    log = documents.event_log if broker_forgets and isinstance(documents, SqliteDocuments) else None
    return Platform(
        kafka=settings.kafka,
        replication_factor=settings.kafka_replication_factor,
        topics=topics,
        documents=documents,
        objects=await _objects(settings),
        cpu=CpuPool(settings.cpu_workers, max_waiting=CPU_QUEUE, timeout_s=CPU_TIMEOUT_S),
        checkpoints=log or NoCheckpoints(),
        backlog=log.backlog if log else None,
        fetch_wait_s=EMBEDDED_FETCH_WAIT_S if broker_forgets else FETCH_WAIT_S,
    )


async def _documents(
    settings: PlatformSettings, collections: tuple[Collection, ...], groups: Mapping[str, Sequence[str]] | None
) -> Documents:
    if settings.mongodb_url.get_secret_value():
        return await _patiently(MongoDocuments(settings.mongodb_url, settings.mongodb_database, collections).open)
    settings.home.mkdir(parents=True, exist_ok=True)
    return await SqliteDocuments(settings.documents_path, collections, groups).open()


async def _objects(settings: PlatformSettings) -> ObjectStore:
    if settings.s3_endpoint:
        return await _patiently(S3ObjectStore(settings.s3).open)
    return FilesystemObjectStore(settings.objects_folder)


async def _patiently(open_store: Callable[[], Awaitable[T]]) -> T:
    """Open a store as soon as it answers. Raises ``Misconfigured`` at once, ``Unavailable`` after two minutes."""
    deadline, backoff = time.monotonic() + START_PATIENCE_S, Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
    while True:
        try:
            return await open_store()
        except Unavailable as error:
            if isinstance(error, Misconfigured) or time.monotonic() > deadline:
                raise
            _log.warning("waiting: %s", error)
        await backoff.pause()
