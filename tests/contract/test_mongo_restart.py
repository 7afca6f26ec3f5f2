"""A server that goes away and comes back is nothing that a process has to be restarted for."""

import asyncio

import pytest

from continuity.documents import Collection, Document, DocumentsUnavailable
from continuity.documents.mongo import MongoDocuments, connection
from continuity.kernel.ids import new_id

pytestmark = pytest.mark.infra
SHOTS = Collection("shots", unique=(("slate",),), indexes=(("state", "queue_key"),))


async def test_a_store_goes_on_when_its_server_comes_back_and_has_everything(tmp_path, monkeypatch):
    from deploy.local.servers.mongo import MongoStandIn

    monkeypatch.setattr(connection, "DEADLINE_S", 3.0)
    server = MongoStandIn(tmp_path)
    await asyncio.to_thread(server.start)
    try:
        store = await MongoDocuments(server.url, "restart", [SHOTS]).open()
        await store.insert(SHOTS, Document("default", "a", 0, {"slate": "1A", "state": "ready"}))
        await asyncio.to_thread(server.stop)
        with pytest.raises(DocumentsUnavailable):
            await store.get(SHOTS, "default", "a")
        with pytest.raises(DocumentsUnavailable):
            await store.check()
        await asyncio.to_thread(server.start)
        assert (await store.get(SHOTS, "default", "a")).body == {"slate": "1A", "state": "ready"}
        await store.insert(SHOTS, Document("default", "b", 0, {}))
        await store.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_store_goes_on_after_its_server_hung_under_load(mongo, toxiproxy, monkeypatch):
    monkeypatch.setattr(connection, "DEADLINE_S", 3.0)
    way = toxiproxy.proxy("hung", mongo.address)
    store = await MongoDocuments(f"mongodb://{way.address}", "hung", [SHOTS]).open()
    failed, mended = asyncio.Event(), asyncio.Event()

    async def writes(name):
        left = 10
        while left:
            try:
                await store.insert(SHOTS, Document("default", f"{name}-{new_id()}", 0, {}))
                left -= mended.is_set()
            except DocumentsUnavailable:
                failed.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as writers:
        for number in range(24):
            writers.create_task(writes(number))
        await asyncio.to_thread(way.swallow)
        await failed.wait()
        await asyncio.to_thread(way.mend)
        mended.set()
    await store.close()
