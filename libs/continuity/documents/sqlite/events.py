"""The log of published events, kept because the embedded broker forgets.

Clearing an outbox moves its events here in the same transaction. For every consumer group of the topic a row waits in
``event_pending`` until the group has handled the event; what still waits at start-up is published again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from continuity.documents.port import OutgoingEvent
from continuity.documents.sqlite.database import Database

SCHEMA = [
    "CREATE TABLE IF NOT EXISTS event_log (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " event TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS event_pending (grp TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (grp, id))"
    " WITHOUT ROWID",
    # A group may handle an event before its publisher has logged it.
    "CREATE TABLE IF NOT EXISTS event_early (grp TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (grp, id)) WITHOUT ROWID",
]

BACKLOG_COUNTED = 10_000


@dataclass(frozen=True)
class LoggedEvent:
    """An event and its place in the log."""

    seq: int
    event: OutgoingEvent


class EventLog:
    """What has been published, and which groups have not handled it yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handled(self, group: str, event_ids: Sequence[str]) -> None:
        """Note that a group has handled events, all of them in one durable write."""

        def note(connection: sqlite3.Connection) -> None:
            for event_id in event_ids:
                _note(connection, group, event_id)

        if event_ids:
            await self._database.write(note)

    async def pending(self, after: int = 0, limit: int = 500) -> tuple[LoggedEvent, ...]:
        """Return logged events beyond ``after`` that some group has not handled, in the order of publishing."""
        sql = (
            "SELECT seq, event FROM event_log WHERE seq > ? AND id IN (SELECT id FROM event_pending)"
            " ORDER BY seq LIMIT ?"
        )
        rows = await self._database.read(lambda connection: connection.execute(sql, (after, limit)).fetchall())
        return tuple(LoggedEvent(seq, decode(json.loads(event))) for seq, event in rows)

    async def newest(self) -> int:
        """Return the ``seq`` of the event that was logged last; 0 when none is logged."""
        sql = "SELECT coalesce(max(seq), 0) FROM event_log"
        newest: int = await self._database.read(lambda connection: connection.execute(sql).fetchone()[0])
        return newest

    async def backlog(self) -> int:
        """Return how many deliveries are outstanding, or the most that are counted."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM event_pending LIMIT {BACKLOG_COUNTED})"
        count: int = await self._database.read(lambda connection: connection.execute(sql).fetchone()[0])
        return count


def _note(connection: sqlite3.Connection, group: str, event_id: str) -> None:
    pending = connection.execute("DELETE FROM event_pending WHERE grp = ? AND id = ?", (group, event_id))
    logged = "SELECT 1 FROM event_log WHERE id = ?"
    if pending.rowcount == 0 and connection.execute(logged, (event_id,)).fetchone() is None:
        connection.execute("INSERT OR IGNORE INTO event_early VALUES (?, ?)", (group, event_id))


def append(
    connection: sqlite3.Connection, events: Sequence[OutgoingEvent], groups: Mapping[str, Sequence[str]]
) -> None:
    """Log events and let them wait for the groups of their topic that have not handled them already."""
    for event in events:
        row = (event.id, json.dumps(encode(event)))
        if connection.execute("INSERT OR IGNORE INTO event_log (id, event) VALUES (?, ?)", row).rowcount == 0:
            continue
        for group in groups.get(event.topic, ()):
            early = connection.execute("DELETE FROM event_early WHERE grp = ? AND id = ?", (group, event.id))
            if early.rowcount == 0:
                connection.execute("INSERT OR IGNORE INTO event_pending VALUES (?, ?)", (group, event.id))


def encode(event: OutgoingEvent) -> dict[str, object]:
    """Return the event as JSON holds it: the payload in hexadecimal digits."""
    return {**vars(event), "payload": event.payload.hex(), "headers": dict(event.headers)}


def decode(stored: dict[str, object]) -> OutgoingEvent:
    """Return the event that ``encode`` stored."""
    return OutgoingEvent(**{**stored, "payload": bytes.fromhex(str(stored["payload"]))})  # type: ignore[arg-type]
