"""A SQLite store in a folder of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from continuity.documents import Collection, Document, OutgoingEvent
from continuity.documents.sqlite import SqliteDocuments

SHOTS = Collection("shots", indexes=(("state", "queue_key"),))
GROUPS = {"continuity.shot.v1": ("rendering", "gallery")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "documents.sqlite3"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteDocuments]:
    opened = await SqliteDocuments(path, [SHOTS], GROUPS).open()
    yield opened
    await opened.close()


@pytest.fixture
def shots() -> Collection:
    return SHOTS


@pytest.fixture
def shot() -> Callable[..., Document]:
    def make(id: str, **body: Any) -> Document:
        return Document("default", id, 0, body)

    return make


@pytest.fixture
def event() -> Callable[..., OutgoingEvent]:
    def make(id: str, topic: str = "continuity.shot.v1") -> OutgoingEvent:
        return OutgoingEvent(id, "continuity/test", "ShotMoved", topic, "a", "default", 1.5, b"\x00\xff", {"k": "v"})

    return make
