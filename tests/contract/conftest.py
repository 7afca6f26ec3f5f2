"""Stores to run the contract of ``Documents`` on. A further adapter joins as a function in ``DOCUMENT_STORES``."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from continuity.documents import Collection, Document, Documents, OutgoingEvent, Page
from continuity.documents.sqlite import SqliteDocuments

SHOTS = Collection(
    "shots",
    unique=(("slate",), ("scene", "number")),
    indexes=(("state", "queue_key"), ("-queue_key",)),
)
REELS = Collection("reels")
COLLECTIONS = (SHOTS, REELS)

Opener = Callable[[], Awaitable[Documents]]


@dataclass(frozen=True)
class Case:
    """One store, and how another process opens it: source that defines ``opened(collections)``."""

    open: Opener
    script: str


def in_sqlite(folder: Path) -> Case:
    path = folder / "documents.sqlite3"

    async def opened() -> Documents:
        return await SqliteDocuments(path, COLLECTIONS).open()

    return Case(
        opened,
        "from pathlib import Path\n"
        "from continuity.documents.sqlite import SqliteDocuments\n"
        f"async def opened(collections): return await SqliteDocuments(Path({str(path)!r}), collections).open()\n",
    )


DOCUMENT_STORES = (in_sqlite,)


@pytest.fixture(params=DOCUMENT_STORES, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    made: Case = request.param(tmp_path)
    return made


@pytest_asyncio.fixture
async def documents(case: Case) -> AsyncIterator[Documents]:
    store = await case.open()
    yield store
    await store.close()


@pytest.fixture
def shots() -> Collection:
    return SHOTS


@pytest.fixture
def reels() -> Collection:
    return REELS


@pytest.fixture
def shot() -> Callable[..., Document]:
    """Make an unsaved document; keywords are its body."""

    def make(id: str, project: str = "default", **body: Any) -> Document:
        return Document(project, id, 0, json.loads(json.dumps(body)))

    return make


@pytest.fixture
def event() -> Callable[..., OutgoingEvent]:
    def make(id: str, key: str = "a", project: str = "default") -> OutgoingEvent:
        return OutgoingEvent(
            id=id,
            source="continuity/test",
            type="ShotMoved",
            topic="continuity.shot.v1",
            key=key,
            project=project,
            time=1_700_000_000.25,
            payload=bytes(range(256)),
            headers={"correlationid": id},
        )

    return make


@pytest.fixture
def every() -> Callable[..., Awaitable[list[Document]]]:
    """Read a listing to its end, page by page."""

    async def read(documents: Documents, collection: Collection, *, limit: int = 3, **asked: Any) -> list[Document]:
        found: list[Document] = []
        page = Page((), "first")
        while page.next_token:
            token = "" if page.next_token == "first" else page.next_token
            page = await documents.page(collection, limit=limit, token=token, **asked)
            assert len(page.documents) <= limit
            found += page.documents
        return found

    return read
