"""One SQLite file and two threads: a writer that commits in groups, and a reader on its own snapshot.

Durability is ``synchronous=FULL`` on a write-ahead log: when a write returns, it has been flushed. The writer puts all
operations that wait into one transaction, each in a savepoint of its own, so that many callers share one flush.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from continuity.documents.port import DocumentsBusy, DocumentsUnavailable

T = TypeVar("T")
Operation: TypeAlias = Callable[[sqlite3.Connection], T]
_Queued: TypeAlias = tuple[Operation[Any], Future[Any]] | None

BUSY_TIMEOUT_S = 15.0
QUEUE_LIMIT = 10_000
GROUP_LIMIT = 128
_STATEMENT_CACHE = 256


class Database:
    """Runs operations on a SQLite file, off the event loop."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writes: queue.Queue[_Queued] = queue.Queue(QUEUE_LIMIT)
        self._reads: queue.Queue[_Queued] = queue.Queue(QUEUE_LIMIT)
        self._closed = False
        self._threads = [
            threading.Thread(target=self._write_in_groups, name="sqlite-writer", daemon=True),
            threading.Thread(target=self._read_one_by_one, name="sqlite-reader", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in a transaction; return once it is durable."""
        return await self._submit(self._writes, operation)

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that changes nothing."""
        return await self._submit(self._reads, operation)

    async def close(self) -> None:
        """Finish what is queued and end the threads."""
        if self._closed:
            return
        self._closed = True
        for waiting in (self._writes, self._reads):
            await asyncio.to_thread(waiting.put, None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    async def _submit(self, waiting: queue.Queue[_Queued], operation: Operation[T]) -> T:
        if self._closed:
            raise DocumentsUnavailable(cause="it is closed")
        future: Future[T] = Future()
        try:
            waiting.put_nowait((operation, future))
        except queue.Full:
            raise DocumentsBusy(waiting=waiting.qsize(), limit=QUEUE_LIMIT) from None
        # Shielded: a caller that gives up must not leave others of its group without an answer.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENT_CACHE,
        )
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _write_in_groups(self) -> None:
        connection: sqlite3.Connection | None = None
        while group := _take(self._writes):
            operations = [queued for queued in group if queued is not None]
            try:
                connection = connection or self._connect()
                _commit_group(connection, operations)
            except sqlite3.Error as error:
                _fail(operations, error)
                if connection is not None:
                    connection.close()
                connection = None
            if None in group:
                break
        if connection is not None:
            connection.close()

    def _read_one_by_one(self) -> None:
        connection: sqlite3.Connection | None = None
        while (queued := self._reads.get()) is not None:
            operation, future = queued
            try:
                connection = connection or self._connect()
                _answer(future, operation(connection))
            except Exception as error:
                _refuse(future, error)
        if connection is not None:
            connection.close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log. SQLite itself does not wait for another process that does so just now."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _take(waiting: queue.Queue[_Queued]) -> list[_Queued]:
    """Wait for one operation, then take whatever else waits, up to the limit."""
    group = [waiting.get()]
    with contextlib.suppress(queue.Empty):
        while group[-1] is not None and len(group) < GROUP_LIMIT:
            group.append(waiting.get_nowait())
    return group


def _commit_group(connection: sqlite3.Connection, operations: list[tuple[Operation[Any], Future[Any]]]) -> None:
    answers: list[tuple[Future[Any], Any]] = []
    refusals: list[tuple[Future[Any], Exception]] = []
    if not operations:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for operation, future in operations:
            connection.execute("SAVEPOINT operation")
            try:
                answers.append((future, operation(connection)))
            except sqlite3.OperationalError:
                raise  # the disk, the lock: it concerns the whole group
            except Exception as error:
                refusals.append((future, error))
                connection.execute("ROLLBACK TO operation")
            connection.execute("RELEASE operation")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    for future, answer in answers:
        _answer(future, answer)
    for future, refusal in refusals:
        _refuse(future, refusal)


def _fail(operations: list[tuple[Operation[Any], Future[Any]]], error: sqlite3.Error) -> None:
    for _, future in operations:
        _refuse(future, error)


def _answer(future: Future[Any], answer: object) -> None:
    if not future.cancelled():
        future.set_result(answer)


def _refuse(future: Future[Any], error: Exception) -> None:
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
        error = DocumentsUnavailable(cause=str(error))
    if not future.cancelled():
        future.set_exception(error)
