from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from continuity.documents import Collection, Document, Documents
from continuity.documents.mongo import MongoDocuments
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.ids import new_id
from continuity.objects.references import BATCH, DocumentReferences

ACTORS = Collection("actors", indexes=(("photo.key",), ("picture.key",)))
SETS = Collection("sets", indexes=(("picture_key",),))


async def in_sqlite(folder: Path, _: pytest.FixtureRequest) -> Documents:
    return await SqliteDocuments(folder / "documents.sqlite3", [ACTORS, SETS]).open()


async def in_mongo(_: Path, request: pytest.FixtureRequest) -> Documents:
    return await MongoDocuments(request.getfixturevalue("mongo").url, f"references_{new_id()}", [ACTORS, SETS]).open()


@pytest_asyncio.fixture(params=[in_sqlite, pytest.param(in_mongo, marks=pytest.mark.infra)])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Documents]:
    store = await request.param(tmp_path, request)
    yield store
    await store.close()


async def add(documents: Documents, collection: Collection, id: str, project: str = "film", **body: Any) -> None:
    await documents.insert(collection, Document(project, id, 0, body))


def photo(name: str) -> dict[str, str]:
    return {"key": f"film/actors/{name}", "sha256": "00"}


async def test_keys_are_found_in_every_field_and_every_project(documents: Documents) -> None:
    await add(documents, ACTORS, "mara", photo=photo("m1"), picture=photo("m2"))
    await add(documents, ACTORS, "jon", project="other", photo=photo("j1"), picture=None)
    await add(documents, SETS, "pad", picture_key="film/sets/1")
    refer = DocumentReferences(documents, (ACTORS, "photo.key"), (ACTORS, "picture.key"), (SETS, "picture_key"))
    asked = ["film/actors/m1", "film/actors/m2", "film/actors/j1", "film/actors/x", "film/sets/1", "film/sets/2"]
    assert await refer(asked) == {"film/actors/m1", "film/actors/m2", "film/actors/j1", "film/sets/1"}


async def test_nothing_is_found_where_nothing_stands(documents: Documents) -> None:
    refer = DocumentReferences(documents, (ACTORS, "photo.key"))
    assert await refer([]) == set()
    assert await refer(["film/actors/x"]) == set()


async def test_a_key_that_many_documents_hold_hides_no_other(documents: Documents) -> None:
    for number in range(2 * BATCH + 1):
        await add(documents, SETS, f"a{number:04}", picture_key="film/sets/common")
    await add(documents, SETS, "z", picture_key="film/sets/rare")
    refer = DocumentReferences(documents, (SETS, "picture_key"))
    asked = ["film/sets/common", "film/sets/rare", "film/sets/none"]
    assert await refer(asked) == {"film/sets/common", "film/sets/rare"}


async def test_more_keys_than_one_query_takes_are_looked_up(documents: Documents) -> None:
    for number in range(0, 3 * BATCH, 2):
        await add(documents, SETS, str(number), picture_key=f"film/sets/{number}")
    asked = [f"film/sets/{number}" for number in range(3 * BATCH)]
    assert await DocumentReferences(documents, (SETS, "picture_key"))(asked) == set(asked[::2])
