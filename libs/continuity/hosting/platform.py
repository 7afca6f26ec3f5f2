"""The technology that services stand on, opened once a process and handed to each service's bootstrap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from continuity.compute.pool import CpuPool
from continuity.documents.port import Collection, Documents
from continuity.documents.sqlite import SqliteDocuments
from continuity.hosting.settings import PlatformSettings
from continuity.messaging.bus import EventBus
from continuity.messaging.consumer import Checkpoints
from continuity.messaging.topics import Topic, consumer_groups, load_topics
from continuity.objects.filesystem import FilesystemObjectStore
from continuity.objects.port import ObjectStore

CPU_QUEUE = 256
CPU_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Platform:
    """The adapters that the settings chose."""

    bootstrap_servers: str
    topics: Mapping[str, Topic]
    documents: Documents
    objects: ObjectStore
    cpu: CpuPool
    checkpoints: Checkpoints
    backlog: Callable[[], Awaitable[int]] | None

    def bus(self, service: str) -> EventBus:
        """Return a new bus for a service."""
        return EventBus(self.bootstrap_servers, service)

    async def close(self) -> None:
        """Let go of everything."""
        await self.cpu.close()
        await self.objects.close()
        await self.documents.close()


async def open_platform(settings: PlatformSettings, collections: Iterable[Collection]) -> Platform:
    """Open the embedded adapters under ``settings.home``."""
    settings.home.mkdir(parents=True, exist_ok=True)
    topics = load_topics(settings.topics_folder)
    documents = SqliteDocuments(settings.documents_path, collections, consumer_groups(topics))
    await documents.open()
    return Platform(
        bootstrap_servers=settings.bootstrap_servers,
        topics=topics,
        documents=documents,
        objects=FilesystemObjectStore(settings.objects_folder),
        cpu=CpuPool(settings.cpu_workers, max_waiting=CPU_QUEUE, timeout_s=CPU_TIMEOUT_S),
        checkpoints=documents.event_log,
        backlog=documents.event_log.backlog,
    )
