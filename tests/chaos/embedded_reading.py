"""Reads what an embedded runtime has kept, once it is dead: the SQLite file and the folder of objects."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.chaos.checker import unreferenced
from tests.chaos.evidence import Evidence, StoredDocument, StoredObject, TopicEvent
from tests.chaos.promises import FINISHED

FOLDER_MARK = "+"
LENGTH_BYTES = 4


def read(home: Path) -> Evidence:
    """Return all there is."""
    with closing(sqlite3.connect(home / "documents.sqlite3")) as database:
        return Evidence(
            documents=tuple(_documents(database)),
            objects=dict(_objects(home / "objects")),
            events=tuple(_events(database)),
            unhandled=_unhandled(database),
        )


def unsettled(home: Path) -> list[str]:
    """Return what still waits."""
    with closing(sqlite3.connect(home / "documents.sqlite3")) as database:
        documents = list(_documents(database))
        deliveries = sum(_unhandled(database).values())
    jobs = [each for each in documents if each.collection == "jobs"]
    characters = [each for each in documents if each.collection == "characters"]
    waiting = {
        "unfinished jobs": sum(job.body["state"] not in FINISHED for job in jobs),
        "unready characters": sum(each.body["state"] == "ingested" for each in characters),
        "outboxes": sum(each.waiting_events > 0 for each in documents),
        "deliveries": deliveries,
    }
    return [f"{count} {what}" for what, count in waiting.items() if count]


def left_over(home: Path) -> set[str]:
    """Return the keys of objects that no document names."""
    with closing(sqlite3.connect(home / "documents.sqlite3")) as database:
        return unreferenced(_documents(database), [key for key, _ in _files(home / "objects")])


def _documents(database: sqlite3.Connection) -> Iterator[StoredDocument]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'c\\_%' ESCAPE '\\'")
    for (table,) in tables.fetchall():
        rows = database.execute(f'SELECT project, id, version, body, inbox, outbox FROM "{table}"')
        for project, id, version, body, inbox, outbox in rows:
            waiting = len(json.loads(outbox)) if outbox else 0
            seen = tuple(json.loads(inbox))
            yield StoredDocument(table.removeprefix("c_"), project, id, version, json.loads(body), seen, waiting)


def _events(database: sqlite3.Connection) -> Iterator[TopicEvent]:
    for (text,) in database.execute("SELECT event FROM event_log ORDER BY seq"):
        told = json.loads(text)
        named = {name: told[name] for name in ("topic", "project", "key", "source", "id", "type")}
        yield TopicEvent(**named, payload=bytes.fromhex(told["payload"]))


def _unhandled(database: sqlite3.Connection) -> dict[tuple[str, str], int]:
    rows = database.execute("SELECT p.grp, e.event FROM event_pending p JOIN event_log e ON e.id = p.id").fetchall()
    return dict(Counter((group, str(json.loads(event)["topic"])) for group, event in rows))


def _objects(root: Path) -> Iterator[tuple[str, StoredObject]]:
    for key, path in _files(root):
        data = _content(path.read_bytes())
        yield key, StoredObject(key, hashlib.sha256(data).hexdigest(), len(data))


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*"):
        folders = path.relative_to(root).parts[:-1]
        if folders and all(folder.endswith(FOLDER_MARK) for folder in folders) and path.is_file():
            yield "/".join([*(folder.removesuffix(FOLDER_MARK) for folder in folders), path.name]), path


def _content(blob: bytes) -> bytes:
    """Cut off what stands behind an object's bytes: a text and its length."""
    return blob[: -LENGTH_BYTES - int.from_bytes(blob[-LENGTH_BYTES:], "big")]
