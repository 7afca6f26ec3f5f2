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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from continuity.documents.port import DocumentsBusy, DocumentsUnavailable

T = TypeVar("T")
Operation: TypeAlias = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT_S = 15.0
QUEUE_LIMIT = 10_000
GROUP_LIMIT = 128
_STATEMENT_CACHE = 256


@dataclass(eq=False)
class _Request(Generic[T]):
    """An operation and who waits for it: a future, and the loop that alone may touch it."""

    operation: Operation[T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    answer: T | None = None
    error: Exception | None = None

    def deliver(self) -> None:
        """Answer whoever waits; one that gave up needs no answer."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)  # type: ignore[arg-type]


_Requests: TypeAlias = list[_Request[Any]]


class Database:
    """Runs operations on a SQLite file, off the event loop."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writes: queue.Queue[_Request[Any] | None] = queue.Queue(QUEUE_LIMIT)
        self._reads: queue.Queue[_Request[Any] | None] = queue.Queue(QUEUE_LIMIT)
        self._closed = False
        self._threads = [
            threading.Thread(target=self._write_in_groups, name="sqlite-writer", daemon=True),
            threading.Thread(target=self._read_in_turn, name="sqlite-reader", daemon=True),
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

    async def _submit(self, waiting: queue.Queue[_Request[Any] | None], operation: Operation[T]) -> T:
        if self._closed:
            raise DocumentsUnavailable(cause="it is closed")
        loop = asyncio.get_running_loop()
        request: _Request[T] = _Request(operation, loop, loop.create_future())
        try:
            waiting.put_nowait(request)
        except queue.Full:
            raise DocumentsBusy(waiting=waiting.qsize(), limit=QUEUE_LIMIT) from None
        return await request.future

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
        self._work(self._writes, _commit_group)

    def _read_in_turn(self) -> None:
        self._work(self._reads, _read_group)

    def _work(
        self,
        waiting: queue.Queue[_Request[Any] | None],
        run: Callable[[sqlite3.Connection, _Requests], None],
    ) -> None:
        """Run what waits, group after group, until there is a None among it; an error loses the connection."""
        connection: sqlite3.Connection | None = None
        ended = False
        while not ended:
            taken = _take(waiting)
            ended = None in taken
            group = [request for request in taken if request is not None]
            try:
                connection = connection or self._connect()
                run(connection, group)
            except sqlite3.Error as error:
                for request in group:
                    request.error = DocumentsUnavailable(cause=str(error))
                if connection is not None:
                    connection.close()
                connection = None
            _deliver(group)
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


def _take(waiting: queue.Queue[_Request[Any] | None]) -> list[_Request[Any] | None]:
    """Wait for one operation, then take whatever else waits, up to the limit."""
    group = [waiting.get()]
    with contextlib.suppress(queue.Empty):
        while group[-1] is not None and len(group) < GROUP_LIMIT:
            group.append(waiting.get_nowait())
    return group


def _commit_group(connection: sqlite3.Connection, group: _Requests) -> None:
    """Run all in one transaction. What one of them raises is its own; of an error of the disk or the lock all hear."""
    if not group:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for request in group:
            connection.execute("SAVEPOINT operation")
            try:
                request.answer = request.operation(connection)
            except sqlite3.OperationalError:
                raise  # the disk, the lock: it concerns the whole group
            except Exception as error:
                request.error = _translated(error)
                connection.execute("ROLLBACK TO operation")
            connection.execute("RELEASE operation")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _read_group(connection: sqlite3.Connection, group: _Requests) -> None:
    for request in group:
        try:
            request.answer = request.operation(connection)
        except Exception as error:
            request.error = _translated(error)


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
        return DocumentsUnavailable(cause=str(error))
    return error


def _deliver(group: Sequence[_Request[Any]]) -> None:
    """Wake each loop once for all its answers: waking it is what costs."""
    for loop in {request.loop for request in group}:
        answered = [request for request in group if request.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_deliver_all, answered)


def _deliver_all(answered: Sequence[_Request[Any]]) -> None:
    for request in answered:
        request.deliver()
