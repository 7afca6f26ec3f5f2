"""The technology that services stand on, opened once a process and handed to each service's bootstrap."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from continuity.compute.pool import CpuPool
from continuity.documents.port import Collection, Documents, DocumentsUnavailable
from continuity.documents.sqlite import SqliteDocuments
from continuity.hosting.home import HomeUnusable, usable
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

CPU_QUEUE = 256
CPU_TIMEOUT_S = 120.0
START_PATIENCE_S = 120.0
"""How long a process waits at its start for a store that does not answer yet."""
LEISURE_S = 0.05
"""What an event may wait where its handling takes seconds anyway."""
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 5.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(eq=False)
class StoreAway(Misconfigured):
    """What a setting names has not answered for as long as a process waits for it at its start."""

    template = "{setting}: waited {waited_s:g} s in vain: {cause}"
    setting: str
    waited_s: float
    cause: str


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

    def bus(self, service: str, *, at_leisure: bool = False) -> EventBus:
        """Return a new bus for a service, which makes the topics that the service needs.

        Where asking a broker for events is what costs, a service ``at_leisure`` asks less often.
        """
        topics = topics_of(service, self.topics)
        prepare = partial(ensure_topics, self.kafka, topics, self.replication_factor)
        if at_leisure and self.fetch_wait_s < LEISURE_S:
            return EventBus(self.kafka, service, prepare, LEISURE_S, poll_s=LEISURE_S / 2)
        return EventBus(self.kafka, service, prepare, self.fetch_wait_s)

    async def close(self) -> None:
        """Let go of everything."""
        await self.cpu.close()
        await self.objects.close()
        await self.documents.close()


async def open_platform(
    settings: PlatformSettings, collections: Iterable[Collection], *, broker_forgets: bool = False
) -> Platform:
    """Open the adapters that the settings choose. Raises ``Misconfigured`` and ``InvalidValue``.

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
        from continuity.documents.mongo import MongoDocuments  # noqa: PLC0415  0.1 s that only who uses it pays

        documents = MongoDocuments(settings.mongodb_url, settings.mongodb_database, collections)
        return await _patiently("CONTINUITY_MONGODB_URL", documents.open)
    with usable(settings.documents_path):
        embedded = SqliteDocuments(settings.documents_path, collections, groups)
    try:
        return await embedded.open()
    except DocumentsUnavailable as error:  # nobody else answers for a file of our own
        await embedded.close()
        raise HomeUnusable(path=str(settings.documents_path), cause=error.cause) from None


async def _objects(settings: PlatformSettings) -> ObjectStore:
    if settings.s3_endpoint:
        from continuity.objects.s3 import S3ObjectStore  # noqa: PLC0415  likewise

        return await _patiently("CONTINUITY_S3_ENDPOINT", S3ObjectStore(settings.s3).open)
    with usable(settings.objects_folder):
        return FilesystemObjectStore(settings.objects_folder)


async def _patiently(setting: str, open_store: Callable[[], Awaitable[T]]) -> T:
    """Open a store as soon as it answers. Raises ``Misconfigured``: ``StoreAway`` after two minutes, others at once."""
    deadline, backoff = time.monotonic() + START_PATIENCE_S, Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
    while True:
        try:
            return await open_store()
        except Unavailable as error:
            if isinstance(error, Misconfigured):
                raise
            if time.monotonic() > deadline:
                raise StoreAway(setting=setting, waited_s=START_PATIENCE_S, cause=str(error)) from None
            _log.warning("waiting: %s", error)
        await backoff.pause()
