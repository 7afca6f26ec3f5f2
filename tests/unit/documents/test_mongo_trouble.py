"""Servers that are away, slow, or let nobody in: what the adapter says, and that it says it in time."""

import asyncio
import struct

import bson
import pytest
from pydantic import SecretStr

from continuity.documents import (
    Collection,
    Document,
    DocumentsBusy,
    DocumentsMisconfigured,
    DocumentsUnavailable,
    VersionConflict,
)
from continuity.documents.mongo import MongoDocuments, connection

SHOTS = Collection("shots", unique=(("slate",),), indexes=(("state", "queue_key"),))
HELLO = {"ismaster": True, "maxWireVersion": 21, "minWireVersion": 0, "ok": 1}
REFUSAL = {"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
QUERY, MESSAGE, REPLY = 2004, 2013, 1


class Server:
    """Speaks as much of MongoDB's protocol as it takes to answer each command with what ``answers`` has for it.

    A command whose answer is an event is answered when that is set.
    """

    def __init__(self, **answers):
        self.answers = answers
        self.commands = []
        self.port = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks = set()
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                size, request, _, opcode = struct.unpack("<iiii", await reader.readexactly(16))
                command = first_document(await reader.readexactly(size - 16), opcode)
                writer.write(framed(request, opcode, await self._answer(command)))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, command):
        name = next(iter(command))
        if name.lower() in {"ismaster", "hello"}:
            return HELLO
        self.commands.append(command)
        answer = self.answers.get(name, {"ok": 1})
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return {"ok": 1, "n": 1, "cursor": {"firstBatch": [], "id": 0, "ns": "p.shots"}}
        return answer


def first_document(payload, opcode):
    start = payload.index(b"\0", 4) + 9 if opcode == QUERY else 5
    size = struct.unpack_from("<i", payload, start)[0]
    return bson.decode(payload[start : start + size])


def framed(request, opcode, answer):
    document = bson.encode(answer)
    if opcode == QUERY:
        body, code = struct.pack("<iqii", 8, 0, 0, 1) + document, REPLY
    else:
        body, code = b"\0\0\0\0\0" + document, MESSAGE
    return struct.pack("<iiii", 16 + len(body), 1, request, code) + body


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "DEADLINE_S", 0.3)


def at(server, user=""):
    return MongoDocuments(SecretStr(f"mongodb://{user}127.0.0.1:{server.port}"), "p", [SHOTS])


async def test_a_server_that_is_away_is_unavailable(impatient, unused_tcp_port):
    store = MongoDocuments(f"mongodb://me:secret@127.0.0.1:{unused_tcp_port}", "p", [SHOTS])
    with pytest.raises(DocumentsUnavailable, match="refused") as caught:
        await store.open()
    assert caught.value.retryable
    assert "secret" not in str(caught.value)
    await store.close()


async def test_a_wrong_password_names_the_setting_and_not_the_password():
    async with Server(saslStart=REFUSAL) as server:
        store = at(server, "me:secret@")
        with pytest.raises(DocumentsMisconfigured) as caught:
            await store.open()
        assert str(caught.value) == "CONTINUITY_MONGODB_URL: the server refuses this user or password"
        await store.close()


async def test_a_user_without_rights_is_refused_at_the_start():
    async with Server(createIndexes={**REFUSAL, "code": 13}) as server:
        store = at(server)
        with pytest.raises(DocumentsMisconfigured, match="CONTINUITY_MONGODB_URL"):
            await store.open()
        await store.close()


async def test_rights_that_are_lost_later_are_a_server_that_is_away():
    async with Server(find={**REFUSAL, "code": 13, "errmsg": "not authorized"}) as server:
        store = await at(server).open()
        with pytest.raises(DocumentsUnavailable, match="not authorized"):
            await store.get(SHOTS, "default", "a")
        await store.close()


@pytest.mark.parametrize(
    "url", ["", "http://h", "mongodb://me:s3cret:x@h/", "mongodb://me:s3/cret@h", "mongodb://h:s3cret"]
)
async def test_an_address_that_is_none_names_the_setting_and_shows_no_secret(url):
    with pytest.raises(DocumentsMisconfigured) as caught:
        await MongoDocuments(url, "p", [SHOTS]).open()
    assert "CONTINUITY_MONGODB_URL" in str(caught.value)
    assert "s3" not in str(caught.value) and "cret" not in repr(caught.value)
    assert caught.value.__suppress_context__


async def test_a_server_that_does_not_answer_is_unavailable_within_the_deadline(monkeypatch):
    async with Server(find=asyncio.Event()) as server:
        monkeypatch.setattr(connection, "DEADLINE_S", 0.3)
        store = await at(server).open()
        async with asyncio.timeout(5):
            with pytest.raises(DocumentsUnavailable):
                await store.get(SHOTS, "default", "a")
        await store.close()


async def test_more_than_the_queue_holds_is_refused_as_full(monkeypatch):
    monkeypatch.setattr(connection, "QUEUE_LIMIT", 3)
    answered = asyncio.Event()
    async with Server(find=answered) as server:
        store = await at(server).open()
        waiting = [asyncio.create_task(store.page(SHOTS, project="default")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(DocumentsBusy) as caught:
            await store.page(SHOTS, project="default")
        assert (caught.value.waiting, caught.value.limit) == (3, 3)
        answered.set()
        assert [page.documents for page in await asyncio.gather(*waiting)] == [()] * 3
        await store.page(SHOTS, project="default")
        await store.close()


async def test_closing_waits_for_what_is_on_its_way_and_takes_nothing_new():
    answered = asyncio.Event()
    async with Server(insert=answered) as server:
        store = await at(server).open()
        writing = asyncio.create_task(store.insert(SHOTS, Document("default", "a", 0, {})))
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        with pytest.raises(DocumentsUnavailable, match="closed"):
            await store.check()
        assert not closing.done()
        answered.set()
        await asyncio.gather(writing, closing)
        await store.close()


async def test_writes_wait_for_a_majority_and_its_journal_and_reads_for_what_it_has():
    async with Server(find={"ok": 1, "cursor": {"firstBatch": [], "id": 0, "ns": "p.shots"}}) as server:
        store = await at(server).open()
        await store.insert(SHOTS, Document("default", "a", 0, {}))
        await store.page(SHOTS, project="default")
        sent = {next(iter(command)): command for command in server.commands}
        await store.close()
    assert {name: sent["insert"]["writeConcern"][name] for name in ("w", "j")} == {"w": "majority", "j": True}
    assert sent["find"]["readConcern"] == {"level": "majority"}
    assert 0 < sent["insert"]["maxTimeMS"] <= connection.DEADLINE_S * 1e3
    assert 0 < sent["find"]["maxTimeMS"] <= connection.DEADLINE_S * 1e3


async def test_opening_creates_every_index(monkeypatch):
    async with Server() as server:
        store = await at(server).open()
        await store.close()
        made = [index for each in server.commands for index in each.get("indexes", ())]
    assert [(dict(index["key"]), index.get("unique", False), index.get("sparse", False)) for index in made] == [
        ({"outbox_due_time": 1}, False, True),
        ({"unique": 1}, True, True),
        ({"body.state": 1, "body.queue_key": 1, "_id.p": 1, "_id.i": 1}, False, False),
    ]


@pytest.mark.parametrize("body", [{"take": 2**70}, {"ta\0ke": 1}, {"take": "\ud800"}])
async def test_what_bson_cannot_hold_is_refused_before_it_is_sent(body):
    async with Server() as server:
        store = await at(server).open()
        server.commands.clear()
        with pytest.raises(ValueError, match=r".+"):
            await store.insert(SHOTS, Document("default", "a", 0, body))
        assert server.commands == []
        await store.close()


async def test_a_write_that_meets_another_version_says_so():
    found = {"_id": {"p": "default", "i": "a"}, "version": 3}
    answers = {
        "update": {"ok": 1, "n": 0, "nModified": 0},
        "find": {"ok": 1, "cursor": {"firstBatch": [found], "id": 0, "ns": "p.shots"}},
    }
    async with Server(**answers) as server:
        store = await at(server).open()
        with pytest.raises(VersionConflict):
            await store.replace(SHOTS, Document("default", "a", 2, {}))
        await store.close()
