"""Documents in SQLite: a table for each collection, bodies as JSON, indexes on expressions over them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection as SizedIterable
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic_core import from_json

from continuity.documents.body import body_text
from continuity.documents.paging import page_token, stretches
from continuity.documents.port import (
    CLOCK_MARGIN_S,
    INBOX_LIMIT,
    OUTBOX_LEASE_S,
    OUTBOX_LIMIT,
    Body,
    Collection,
    Condition,
    Document,
    DocumentExists,
    DocumentMissing,
    OutboxFull,
    OutgoingEvent,
    Page,
    Ref,
    VersionConflict,
)
from continuity.documents.sqlite import events as event_log
from continuity.documents.sqlite.database import Database
from continuity.documents.sqlite.events import EventLog
from continuity.documents.sqlite.query import FIELDS, counted, schema, select, table, taken_over


class SqliteDocuments:
    """The embedded adapter of ``Documents``.

    ``groups`` names the consumer groups of each topic; cleared events wait in the log until those have handled them.
    """

    def __init__(
        self, path: Path, collections: Iterable[Collection], groups: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._database = Database(path)
        self._collections = {collection.name: collection for collection in collections}
        self._groups = groups or {}
        self.event_log = EventLog(self._database)

    async def open(self) -> SqliteDocuments:
        """Create what is missing in the file, and remove indexes that no longer serve."""
        statements = [*event_log.SCHEMA, "CREATE TABLE IF NOT EXISTS health (id INTEGER PRIMARY KEY, time REAL)"]

        def create(connection: sqlite3.Connection) -> None:
            for statement in statements:
                connection.execute(statement)
            for collection in self._collections.values():
                _create(connection, collection)

        await self._database.write(create)
        return self

    async def get(self, collection: Collection, project: str, id: str) -> Document:
        """Return a document. Raises ``DocumentMissing``."""
        sql = f"SELECT {FIELDS} FROM {table(collection)} WHERE project = ? AND id = ?"
        row = await self._database.read(lambda connection: connection.execute(sql, (project, id)).fetchone())
        if row is None:
            raise DocumentMissing(collection=collection.name, id=id)
        return _document(row)

    async def several(self, collection: Collection, project: str, ids: SizedIterable[str]) -> Mapping[str, Document]:
        """Return those of a project's documents that exist, by id."""
        sql = f"SELECT {FIELDS} FROM {table(collection)} WHERE project = ? AND id = ?"

        def read(connection: sqlite3.Connection) -> list[Sequence[object]]:
            return [row for id in ids for row in connection.execute(sql, (project, id))]

        found = map(_document, await self._database.read(read))
        return {document.id: document for document in found}

    async def insert(
        self, collection: Collection, document: Document, events: Sequence[OutgoingEvent] = (), owner: str = ""
    ) -> None:
        """Write a new document at version 1, with its events. Raises ``DocumentExists``."""
        if not all(await self.insert_each(collection, [(document, events)], owner)):
            raise DocumentExists(collection=collection.name, id=document.id)

    async def insert_each(
        self, collection: Collection, made: Sequence[tuple[Document, Sequence[OutgoingEvent]]], owner: str = ""
    ) -> Sequence[bool]:
        """Write new documents in one transaction; False where one exists already."""
        sql = (
            f"INSERT INTO {table(collection)} (project, id, version, body, inbox, outbox, outbox_due_time,"
            " outbox_owner) VALUES (?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        rows = [_row(collection, document, events, owner) for document, events in made]
        return await self._database.write(
            lambda connection: [connection.execute(sql, row).rowcount == 1 for row in rows]
        )

    async def replace(
        self,
        collection: Collection,
        document: Document,
        events: Sequence[OutgoingEvent] = (),
        owner: str = "",
        consumed: str = "",
    ) -> None:
        """Write over ``document.version``, append the events. Raises ``VersionConflict``, ``DocumentMissing``."""
        name = table(collection)
        key = (document.project, document.id)
        text = body_text(collection, document.id, document.body)
        inbox = [*document.inbox, consumed] if consumed else list(document.inbox)
        update = (
            f"UPDATE {name} SET version = version + 1, body = ?, inbox = ?, outbox = ?, outbox_due_time = ?,"
            " outbox_owner = ? WHERE project = ? AND id = ?"
        )

        def write(connection: sqlite3.Connection) -> None:
            found = f"SELECT version, outbox, outbox_due_time, outbox_owner FROM {name} WHERE project = ? AND id = ?"
            row = connection.execute(found, key).fetchone()
            if row is None:
                raise DocumentMissing(collection=collection.name, id=document.id)
            if row[0] != document.version:
                raise VersionConflict(collection=collection.name, id=document.id, version=document.version)
            waiting = from_json(row[1] or "[]")
            if events and len(waiting) + len(events) > OUTBOX_LIMIT:
                raise OutboxFull(collection=collection.name, id=document.id, limit=OUTBOX_LIMIT)
            outbox = _outbox_columns(waiting, events, owner) if events else row[1:]
            stored = (text, json.dumps(inbox[-INBOX_LIMIT:]), *outbox, *key)
            try:
                connection.execute(update, stored)
            except sqlite3.IntegrityError:
                raise DocumentExists(collection=collection.name, id=document.id) from None

        await self._database.write(write)

    async def delete(self, collection: Collection, project: str, id: str, version: int | None = None) -> None:
        """Remove a document and whatever waits in its outbox. Raises ``VersionConflict``."""
        name, key = table(collection), (project, id)

        def write(connection: sqlite3.Connection) -> None:
            found = connection.execute(f"SELECT version FROM {name} WHERE project = ? AND id = ?", key).fetchone()
            if found is not None and version not in (None, found[0]):
                raise VersionConflict(collection=collection.name, id=id, version=version or 0)
            connection.execute(f"DELETE FROM {name} WHERE project = ? AND id = ?", key)

        await self._database.write(write)

    async def page(
        self,
        collection: Collection,
        where: Sequence[Condition] = (),
        *,
        project: str | None,
        order: Sequence[str] = (),
        limit: int = 50,
        token: str = "",
    ) -> Page:
        """Return documents in ``order`` (then by id); ``project`` None means those of every project."""
        behind = stretches(collection, where, project, order, token)

        def read(connection: sqlite3.Connection) -> list[Sequence[object]]:
            rows: list[Sequence[object]] = []
            for bounds in behind:
                sql, parameters = select(collection, where, project, order, limit=limit + 1 - len(rows), bounds=bounds)
                rows += connection.execute(sql, parameters)
                if len(rows) > limit:
                    break
            return rows

        rows = await self._database.read(read)
        found = tuple(_document(row) for row in rows[:limit])
        return Page(found, page_token(collection, order, found[-1]) if len(rows) > limit else "")

    async def count(
        self, collection: Collection, where: Sequence[Condition], *, project: str | None, limit: int | None = None
    ) -> int:
        """Return how many documents meet the conditions, or ``limit`` when there are that many or more."""
        sql, parameters = counted(collection, where, project, limit)
        number: int = await self._database.read(lambda connection: connection.execute(sql, parameters).fetchone()[0])
        return number

    async def claim(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body
    ) -> Document | None:
        """Set ``changes`` on the first document that meets ``where`` and return it as changed; None without one."""
        claimed = await self.claim_several(collection, where, order, changes, 1)
        return claimed[0] if claimed else None

    async def claim_several(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body, limit: int
    ) -> Sequence[Document]:
        """Do what ``claim`` does to as many of the first documents, in order."""
        find, parameters = select(collection, where, None, order, limit=limit)
        update = f"UPDATE {table(collection)} SET version = version + 1, body = ? WHERE project = ? AND id = ?"

        def write(connection: sqlite3.Connection) -> list[Document]:
            found = [_document(row) for row in connection.execute(find, parameters).fetchall()]
            claimed = [replace(one, version=one.version + 1, body={**one.body, **changes}) for one in found]
            for one in claimed:
                connection.execute(update, (body_text(collection, one.id, one.body), one.project, one.id))
            return claimed

        return await self._database.write(write)

    async def due_outboxes(
        self, collections: Sequence[Collection], now: float, until: float, owner: str, limit: int
    ) -> tuple[Ref, ...]:
        """Take over outboxes that are due, or far ahead: they are ``owner``'s until ``until``, seconds since 1970."""

        def take(connection: sqlite3.Connection) -> tuple[Ref, ...]:
            taken: list[Ref] = []
            for collection in collections:
                for sql, bound in zip(taken_over(collection), (now, until + CLOCK_MARGIN_S), strict=True):
                    rows = connection.execute(sql, (until, owner, bound, limit - len(taken))).fetchall()
                    taken += [Ref(collection.name, project, id) for project, id in rows]
            return tuple(taken)

        return await self._database.write(take)

    async def outbox(self, ref: Ref, owner: str | None = None) -> tuple[OutgoingEvent, ...]:
        """Return the waiting events of a document, oldest first; none when it is absent or not ``owner``'s."""
        sql = f"SELECT outbox FROM {table(self._collections[ref.collection])} WHERE project = ? AND id = ?"
        parameters = [ref.project, ref.id]
        if owner is not None:
            sql += " AND outbox_owner = ?"
            parameters.append(owner)
        row = await self._database.read(lambda connection: connection.execute(sql, parameters).fetchone())
        return tuple(event_log.decode(event) for event in from_json((row and row[0]) or "[]"))

    async def outboxes(self, refs: Sequence[Ref], owner: str) -> Mapping[Ref, tuple[OutgoingEvent, ...]]:
        """Return in one go what ``outbox`` would for each document; those without waiting events are left out."""

        def read(connection: sqlite3.Connection) -> dict[Ref, str]:
            found: dict[Ref, str] = {}
            for ref in refs:
                name = table(self._collections[ref.collection])
                sql = f"SELECT outbox FROM {name} WHERE project = ? AND id = ? AND outbox_owner = ?"
                row = connection.execute(sql, (ref.project, ref.id, owner)).fetchone()
                if row is not None and row[0]:
                    found[ref] = row[0]
            return found

        waiting = await self._database.read(read)
        return {ref: tuple(event_log.decode(event) for event in from_json(text)) for ref, text in waiting.items()}

    async def settle(self, published: Mapping[Ref, Sequence[str]]) -> None:
        """Move published events (by id) from the outboxes of their documents into the event log."""

        def write(connection: sqlite3.Connection) -> None:
            for ref, ids in published.items():
                self._settle_one(connection, ref, frozenset(ids))

        await self._database.write(write)

    async def check(self) -> None:
        """Raise ``DocumentsUnavailable`` unless the file accepts writes."""
        sql = "INSERT OR REPLACE INTO health VALUES (1, ?)"
        await self._database.write(lambda connection: connection.execute(sql, (time.time(),)))

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        await self._database.close()

    def _settle_one(self, connection: sqlite3.Connection, ref: Ref, ids: frozenset[str]) -> None:
        name = table(self._collections[ref.collection])
        key = (ref.project, ref.id)
        row = connection.execute(f"SELECT outbox FROM {name} WHERE project = ? AND id = ?", key).fetchone()
        waiting = from_json((row and row[0]) or "[]")
        if self._groups:  # else the broker remembers by itself
            event_log.append(connection, [event_log.decode(e) for e in waiting if e["id"] in ids], self._groups)
        left = [event for event in waiting if event["id"] not in ids]
        cleared = "" if left else ", outbox_due_time = NULL, outbox_owner = NULL"
        sql = f"UPDATE {name} SET outbox = ?{cleared} WHERE project = ? AND id = ?"
        connection.execute(sql, (json.dumps(left) if left else None, *key))


def _create(connection: sqlite3.Connection, collection: Collection) -> None:
    statements = schema(collection)
    sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    for (name,) in connection.execute(sql, (f"c_{collection.name}",)).fetchall():
        if name not in statements:
            connection.execute(f'DROP INDEX "{name}"')
    for statement in statements.values():
        connection.execute(statement)


def _document(row: Sequence[object]) -> Document:
    project, id, version, body, inbox = row
    return Document(str(project), str(id), int(str(version)), from_json(str(body)), tuple(from_json(str(inbox))))


def _row(collection: Collection, document: Document, events: Sequence[OutgoingEvent], owner: str) -> tuple[object, ...]:
    text = body_text(collection, document.id, document.body)
    inbox = json.dumps(document.inbox[-INBOX_LIMIT:])
    return (document.project, document.id, text, inbox, *_outbox_columns([], events, owner))


def _outbox_columns(
    waiting: list[object], events: Sequence[OutgoingEvent], owner: str
) -> tuple[str | None, float | None, str | None]:
    outbox = [*waiting, *(event_log.encode(event) for event in events)]
    if not outbox:
        return None, None, None
    return json.dumps(outbox), time.time() + OUTBOX_LEASE_S, owner
