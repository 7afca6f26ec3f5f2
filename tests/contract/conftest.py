"""Stores to run the contract of ``Documents`` on. A further adapter joins as a function in ``DOCUMENT_STORES``."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymongo import MongoClient

from continuity.documents import Collection, Document, Documents, OutgoingEvent, Page
from continuity.documents.mongo import MongoDocuments
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.ids import new_id

SHOTS = Collection(
    "shots",
    unique=(("slate",), ("scene", "number")),
    indexes=(("state", "queue_key"), ("-queue_key",)),
    listings=((), ("-queue_key",)),
)
REELS = Collection("reels")
COLLECTIONS = (SHOTS, REELS)

Opener = Callable[[], Awaitable[Documents]]


@dataclass(frozen=True)
class Case:
    """One store, and how another process opens it: source that defines ``opened(collections)``."""

    open: Opener
    script: str
    discard: Callable[[], None] = lambda: None


def in_sqlite(folder: Path, request: pytest.FixtureRequest) -> Case:
    path = folder / "documents.sqlite3"

    async def opened() -> Documents:
        return await SqliteDocuments(path, COLLECTIONS).open()

    return Case(
        opened,
        "from pathlib import Path\n"
        "from continuity.documents.sqlite import SqliteDocuments\n"
        f"async def opened(collections): return await SqliteDocuments(Path({str(path)!r}), collections).open()\n",
    )


def in_mongo_stand_in(folder: Path, request: pytest.FixtureRequest) -> Case:
    return at_mongo(request.getfixturevalue("mongo").url)


def in_mongod(folder: Path, request: pytest.FixtureRequest) -> Case:
    """Only a real server shows what indexes, journal and majority do."""
    return at_mongo(MONGOD_URL)


def at_mongo(url: str) -> Case:
    database = f"contract_{new_id()}"

    async def opened() -> Documents:
        return await MongoDocuments(url, database, COLLECTIONS).open()

    def discard() -> None:
        with MongoClient[dict[str, Any]](url) as client:
            client.drop_database(database)

    return Case(
        opened,
        "from continuity.documents.mongo import MongoDocuments\n"
        f"async def opened(collections): return await MongoDocuments({url!r}, {database!r}, collections).open()\n",
        discard,
    )


DOCUMENT_STORES = [in_sqlite, pytest.param(in_mongo_stand_in, marks=pytest.mark.infra)]
MONGOD_URL = os.environ.get("CONTINUITY_TEST_MONGODB_URL", "")
if MONGOD_URL:
    DOCUMENT_STORES.append(pytest.param(in_mongod, marks=pytest.mark.infra))


@pytest.fixture(params=DOCUMENT_STORES, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made: Case = request.param(tmp_path, request)
    yield made
    made.discard()


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
