"""Full disks, locks, foreign files, several processes on one file, and a store that is closed."""

import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from continuity.documents import DocumentMissing, DocumentsUnavailable, Ref
from continuity.documents.port import DocumentsBusy
from continuity.documents.sqlite import SqliteDocuments, database
from continuity.kernel.errors import Full

PROCESSES = 5
INSERTS = 20
SHARER = """
import asyncio, sys
from pathlib import Path
from continuity.documents import Collection, Document, DocumentExists, VersionConflict
from continuity.documents.sqlite import SqliteDocuments

SHOTS = Collection("shots", indexes=(("state", "queue_key"),))
path, name, inserts = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def add_one(store):
    while True:
        found = await store.get(SHOTS, "default", "shared")
        try:
            body = {"sum": found.body["sum"] + 1}
            return await store.replace(SHOTS, Document("default", "shared", found.version, body))
        except VersionConflict:
            continue

async def main():
    store = await SqliteDocuments(Path(path), [SHOTS]).open()
    try:
        await store.insert(SHOTS, Document("default", "shared", 0, {"sum": 0}))
    except DocumentExists:
        pass
    for number in range(inserts):
        await store.insert(SHOTS, Document("default", f"{name}-{number}", 0, {}))
        await add_one(store)
    await store.close()

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


@contextmanager
def no_file_may_grow(folder):
    """Let the operating system refuse to write beyond what the largest file of the folder holds now."""
    largest = max(path.stat().st_size for path in folder.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)


async def test_a_full_disk_refuses_writes_and_nothing_half_made_stays(store, shots, shot, tmp_path):
    await store.insert(shots, shot("a", take=1))
    with no_file_may_grow(tmp_path):
        with pytest.raises(DocumentsUnavailable) as caught:
            await store.insert(shots, shot("b", text="x" * 1_000_000))
        assert caught.value.retryable
        assert (await store.get(shots, "default", "a")).body == {"take": 1}
    with pytest.raises(DocumentMissing):
        await store.get(shots, "default", "b")


async def test_a_full_disk_fails_the_check_and_room_mends_it(store, shots, shot, tmp_path):
    await store.insert(shots, shot("a", text="x" * 200_000))
    with no_file_may_grow(tmp_path), pytest.raises(DocumentsUnavailable):
        await store.insert(shots, shot("b", text="x" * 1_000_000))
    with no_file_may_grow(tmp_path), pytest.raises(DocumentsUnavailable):
        for _ in range(200):
            await store.check()
    await store.check()
    await store.insert(shots, shot("c", text="x" * 200_000))
    assert len((await store.get(shots, "default", "c")).body["text"]) == 200_000


async def test_a_file_that_may_only_be_read_is_unavailable_for_writing(path, shots, shot):
    store = await SqliteDocuments(path, [shots]).open()
    await store.insert(shots, shot("a", take=1))
    await store._database.write(lambda connection: connection.execute("PRAGMA query_only = 1"))
    with pytest.raises(DocumentsUnavailable, match="readonly"):
        await store.check()
    # The writer has opened the file anew by now, as it does once a disk is mended.
    await store.insert(shots, shot("b"))
    await store.close()


async def test_a_file_locked_for_too_long_is_unavailable_until_it_is_free(impatient, path, shots, shot):
    store = await SqliteDocuments(path, [shots]).open()
    with locked(path):
        with pytest.raises(DocumentsUnavailable, match="locked"):
            await store.insert(shots, shot("a"))
        assert (await store.page(shots, project="default")).documents == ()
    await store.insert(shots, shot("a"))
    await store.close()


async def test_a_file_that_is_no_database_is_unavailable(path, shots):
    path.write_bytes(b"not a database" * 500)
    store = SqliteDocuments(path, [shots])
    with pytest.raises(DocumentsUnavailable):
        await store.open()
    await store.close()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_body_that_json_cannot_hold_fails_alone(store, shots, shot, number):
    writes = [
        store.insert(shots, shot("a")),
        store.insert(shots, shot("b", state=number)),
        store.insert(shots, shot("c")),
    ]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), ValueError, type(None)]
    assert await store.count(shots, [], project="default") == 2


async def test_a_refused_write_undoes_nothing_of_its_neighbours(store, shots, shot):
    answers = await asyncio.gather(
        *(store.insert(shots, shot(f"s{number // 2}")) for number in range(100)), return_exceptions=True
    )
    assert sum(answer is None for answer in answers) == 50
    assert await store.count(shots, [], project="default") == 50


async def test_an_operation_that_breaks_halfway_leaves_nothing(store, shots, shot, event):
    await store.insert(shots, shot("a"), [event("e1")], "me")
    settling = {Ref("shots", "default", "a"): ["e1"], Ref("nowhere", "default", "a"): ["e1"]}
    answers = await asyncio.gather(store.settle(settling), store.insert(shots, shot("b")), return_exceptions=True)
    assert [type(answer) for answer in answers] == [KeyError, type(None)]
    assert await store.outbox(Ref("shots", "default", "a")) == (event("e1"),)
    assert await store.event_log.pending() == ()


async def test_a_caller_that_gives_up_takes_nobody_along(store, shots, shot):
    writes = [asyncio.create_task(store.insert(shots, shot(f"s{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [answer for answer in answers[1::2] if answer is not None] == []
    assert {f"s{number}" for number in range(1, 20, 2)} <= {
        document.id for document in (await store.page(shots, project="default")).documents
    }


async def test_more_than_the_queue_holds_is_refused_as_full(monkeypatch, path, shots, shot):
    monkeypatch.setattr(database, "QUEUE_LIMIT", 3)
    store = await SqliteDocuments(path, [shots]).open()
    held, release = threading.Event(), threading.Event()

    def hold(connection):
        held.set()
        release.wait()

    holding = asyncio.create_task(store._database.write(hold))
    await asyncio.to_thread(held.wait)
    waiting = [asyncio.create_task(store.insert(shots, shot(f"s{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(DocumentsBusy) as caught:
        await store.insert(shots, shot("one too many"))
    assert isinstance(caught.value, Full)
    assert caught.value.limit == 3
    release.set()
    await asyncio.gather(holding, *waiting)
    await store.insert(shots, shot("now"))
    await store.close()


async def test_closing_finishes_what_is_queued(store, shots, shot, path):
    writes = [asyncio.create_task(store.insert(shots, shot(f"s{number}"))) for number in range(200)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM c_shots").fetchone() == (200,)


async def test_a_closed_store_says_so(store, shots, shot):
    await store.close()
    await store.close()
    for use in (store.get(shots, "default", "a"), store.insert(shots, shot("a")), store.check()):
        with pytest.raises(DocumentsUnavailable, match="closed"):
            await use


def started(path, number):
    return subprocess.Popen(
        [sys.executable, "-c", SHARER, str(path), f"p{number}", str(INSERTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


async def test_processes_that_open_one_new_file_together_share_it(path, shots):
    sharers = [started(path, number) for number in range(PROCESSES)]
    for sharer in sharers:
        assert await asyncio.to_thread(sharer.stdout.readline) == b"ready\n"
    for sharer in sharers:
        sharer.stdin.write(b"go\n")
        sharer.stdin.flush()
    for sharer in sharers:
        _, complaint = await asyncio.to_thread(sharer.communicate)
        assert sharer.returncode == 0, complaint.decode()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM c_shots").fetchone() == (PROCESSES * INSERTS + 1,)
        shared = connection.execute("SELECT body, version FROM c_shots WHERE id = 'shared'").fetchone()
    assert (json.loads(shared[0]), shared[1]) == ({"sum": PROCESSES * INSERTS}, PROCESSES * INSERTS + 1)


async def test_an_index_that_no_longer_serves_is_removed_and_a_new_one_made(path, shots, shot):
    before = replace(shots, indexes=(("state",),), unique=(("slate",),))
    store = await SqliteDocuments(path, [before]).open()
    await store.insert(before, shot("a", slate="1A", queue_key=1))
    await store.close()
    store = await SqliteDocuments(path, [shots]).open()
    await store.insert(shots, shot("b", slate="1A"))
    await store.close()
    with sqlite3.connect(path) as connection:
        sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'c_shots' AND sql IS NOT NULL"
        names = {row[0] for row in connection.execute(sql)}
    assert names == {"c_shots_outbox", "c_shots_i_state_queue_key_@project_@id"}


@pytest.mark.parametrize(("pragma", "value"), [("synchronous", 2), ("journal_mode", "wal")])
async def test_a_write_that_returned_was_flushed(store, pragma, value):
    def asked(connection):
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

    assert await store._database.write(asked) == value
