"""Documents in SQLite: a table for each collection, bodies as JSON, indexes on expressions over them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from continuity.documents.paging import page_place, page_token
from continuity.documents.port import (
    INBOX_LIMIT,
    Body,
    Collection,
    Condition,
    Document,
    DocumentExists,
    DocumentMissing,
    OutgoingEvent,
    Page,
    Ref,
    VersionConflict,
)
from continuity.documents.sqlite import events as event_log
from continuity.documents.sqlite.database import Database
from continuity.documents.sqlite.events import EventLog
from continuity.documents.sqlite.query import (
    behind_clause,
    order_clause,
    schema,
    table,
    where_clause,
)

OUTBOX_LEASE_S = 5.0
"""How long a writer's own relay may take before a sweeper takes the outbox over."""

_FIELDS = "project, id, version, body, inbox"


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
        """Create what is missing in the file."""
        statements = [*event_log.SCHEMA, "CREATE TABLE IF NOT EXISTS health (id INTEGER PRIMARY KEY, time REAL)"]
        for collection in self._collections.values():
            statements += schema(collection)

        def create(connection: sqlite3.Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await self._database.write(create)
        return self

    async def get(self, collection: Collection, project: str, id: str) -> Document:
        """Return a document. Raises ``DocumentMissing``."""
        sql = f"SELECT {_FIELDS} FROM {table(collection)} WHERE project = ? AND id = ?"
        row = await self._database.read(lambda connection: connection.execute(sql, (project, id)).fetchone())
        if row is None:
            raise DocumentMissing(collection=collection.name, id=id)
        return _document(row)

    async def insert(
        self, collection: Collection, document: Document, events: Sequence[OutgoingEvent] = (), owner: str = ""
    ) -> None:
        """Write a new document at version 1, with its events. Raises ``DocumentExists``."""
        sql = (
            f"INSERT INTO {table(collection)} (project, id, version, body, inbox, outbox, outbox_due_time,"
            " outbox_owner) VALUES (?, ?, 1, ?, ?, ?, ?, ?)"
        )
        row = (document.project, document.id, _text(document.body), json.dumps(document.inbox[-INBOX_LIMIT:]))

        def write(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(sql, (*row, *_outbox_columns([], events, owner)))
            except sqlite3.IntegrityError:
                raise DocumentExists(collection=collection.name, id=document.id) from None

        await self._database.write(write)

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
            waiting = json.loads(row[1] or "[]")
            outbox = _outbox_columns(waiting, events, owner) if events else row[1:]
            stored = (_text(document.body), json.dumps(inbox[-INBOX_LIMIT:]), *outbox, *key)
            try:
                connection.execute(update, stored)
            except sqlite3.IntegrityError:
                raise DocumentExists(collection=collection.name, id=document.id) from None

        await self._database.write(write)

    async def delete(self, collection: Collection, project: str, id: str) -> None:
        """Remove a document and whatever waits in its outbox. Nothing happens when it is absent."""
        sql = f"DELETE FROM {table(collection)} WHERE project = ? AND id = ?"
        await self._database.write(lambda connection: connection.execute(sql, (project, id)))

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
        clause, parameters = where_clause(where, project)
        place = page_place(collection, order, token)
        if place is not None:
            behind, values = behind_clause(order, place)
            clause = f"{clause} AND {behind}" if clause else f" WHERE {behind}"
            parameters += values
        sql = f"SELECT {_FIELDS} FROM {table(collection)}{clause}{order_clause(order)} LIMIT ?"
        parameters.append(limit + 1)
        rows = await self._database.read(lambda connection: connection.execute(sql, parameters).fetchall())
        found = tuple(_document(row) for row in rows[:limit])
        return Page(found, page_token(collection, order, found[-1]) if len(rows) > limit else "")

    async def count(self, collection: Collection, where: Sequence[Condition], *, project: str | None) -> int:
        """Return how many documents meet the conditions."""
        clause, parameters = where_clause(where, project)
        sql = f"SELECT count(*) FROM {table(collection)}{clause}"
        number: int = await self._database.read(lambda connection: connection.execute(sql, parameters).fetchone()[0])
        return number

    async def claim(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body
    ) -> Document | None:
        """Set ``changes`` on the first document that meets ``where`` and return it as changed; None without one."""
        name = table(collection)
        clause, parameters = where_clause(where, None)
        find = f"SELECT {_FIELDS} FROM {name}{clause}{order_clause(order)} LIMIT 1"
        update = f"UPDATE {name} SET version = version + 1, body = ? WHERE project = ? AND id = ?"

        def write(connection: sqlite3.Connection) -> Document | None:
            row = connection.execute(find, parameters).fetchone()
            if row is None:
                return None
            found = _document(row)
            body = {**found.body, **changes}
            connection.execute(update, (_text(body), found.project, found.id))
            return Document(found.project, found.id, found.version + 1, body, found.inbox)

        return await self._database.write(write)

    async def due_outboxes(
        self, collections: Sequence[Collection], now: float, until: float, owner: str, limit: int
    ) -> tuple[Ref, ...]:
        """Take over outboxes whose time has come: they are ``owner``'s until ``until`` (seconds since the epoch)."""

        def take(connection: sqlite3.Connection) -> tuple[Ref, ...]:
            taken: list[Ref] = []
            for collection in collections:
                sql = (
                    f"UPDATE {table(collection)} SET outbox_due_time = ?, outbox_owner = ? WHERE rowid IN"
                    f" (SELECT rowid FROM {table(collection)} WHERE outbox_due_time <= ? ORDER BY outbox_due_time"
                    " LIMIT ?) RETURNING project, id"
                )
                rows = connection.execute(sql, (until, owner, now, limit - len(taken))).fetchall()
                taken += [Ref(collection.name, project, id) for project, id in rows]
            return tuple(taken)

        return await self._database.write(take)

    async def outbox(self, ref: Ref) -> tuple[OutgoingEvent, ...]:
        """Return the waiting events of a document, oldest first; none when the document is absent."""
        sql = f"SELECT outbox FROM {table(self._collections[ref.collection])} WHERE project = ? AND id = ?"
        row = await self._database.read(lambda connection: connection.execute(sql, (ref.project, ref.id)).fetchone())
        return tuple(event_log.decode(event) for event in json.loads((row and row[0]) or "[]"))

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
        waiting = json.loads((row and row[0]) or "[]")
        event_log.append(connection, [event_log.decode(e) for e in waiting if e["id"] in ids], self._groups)
        left = [event for event in waiting if event["id"] not in ids]
        cleared = "" if left else ", outbox_due_time = NULL, outbox_owner = NULL"
        sql = f"UPDATE {name} SET outbox = ?{cleared} WHERE project = ? AND id = ?"
        connection.execute(sql, (json.dumps(left) if left else None, *key))


def _document(row: Sequence[object]) -> Document:
    project, id, version, body, inbox = row
    return Document(str(project), str(id), int(str(version)), json.loads(str(body)), tuple(json.loads(str(inbox))))


def _text(body: Body) -> str:
    """Return the body as JSON. Raises ``ValueError`` for NaN and infinity: SQLite would fail the whole group."""
    return json.dumps(body, allow_nan=False)


def _outbox_columns(
    waiting: list[object], events: Sequence[OutgoingEvent], owner: str
) -> tuple[str | None, float | None, str | None]:
    outbox = [*waiting, *(event_log.encode(event) for event in events)]
    if not outbox:
        return None, None, None
    return json.dumps(outbox), time.time() + OUTBOX_LEASE_S, owner
