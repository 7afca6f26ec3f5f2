"""The driver, and nothing of it beyond this file: its client, its limits, its errors.

Motor drives PyMongo in threads. How many, its own variable ``MOTOR_MAX_WORKERS`` says (five for each core).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import bson
import pymongo
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import SecretStr
from pymongo import errors

from continuity.documents.mongo.query import Index
from continuity.documents.port import Body, DocumentsBusy, DocumentsMisconfigured, DocumentsUnavailable

T = TypeVar("T")
Database: TypeAlias = Any
Operation: TypeAlias = Callable[[Database], Awaitable[T]]

SETTING = "CONTINUITY_MONGODB_URL"
DEADLINE_S = 10.0
CONNECT_TIMEOUT_S = 5.0
OPEN_DEADLINE_S = 60.0
"""Building an index over many documents takes longer than any other operation."""
POOL_SIZE = 32
QUEUE_LIMIT = 2_000
"""What a slow server answers within the deadline; more than that would wait in vain."""
DUPLICATE_KEY = 11000
_NOT_LET_IN = {13, 18, 8000}
"""Unauthorized, AuthenticationFailed, and what Atlas says for both."""


class Taken(Exception):
    """Another document has the id or a unique key."""


class Connection:
    """A bounded way to one database. Writes wait for a majority's journal, reads see nothing else."""

    def __init__(self, url: str | SecretStr, database: str) -> None:
        self._url = url if isinstance(url, SecretStr) else SecretStr(url)
        self._name = database
        self._client: Any = None
        self._slots = asyncio.Semaphore(POOL_SIZE)
        self._waiting = 0
        self._closed = False

    async def open(self, wanted: Mapping[str, Sequence[Index]]) -> None:
        """Connect and create the indexes of each collection.

        Raises ``DocumentsMisconfigured`` and ``DocumentsUnavailable``.
        """
        self._client = self._new_client()
        try:
            await self._client[self._name].command("ping")
            with pymongo.timeout(OPEN_DEADLINE_S):
                for collection, indexes in wanted.items():
                    await self._create(collection, indexes)
        except errors.PyMongoError as error:
            raise _refused(error) or DocumentsUnavailable(cause=_cause(error)) from None

    async def run(self, operation: Operation[T]) -> T:
        """Run an operation within the deadline. Raises ``DocumentsBusy``, ``DocumentsUnavailable``, ``Taken``."""
        if self._closed or self._client is None:
            raise DocumentsUnavailable(cause="it is closed")
        if self._waiting >= QUEUE_LIMIT:
            raise DocumentsBusy(waiting=self._waiting, limit=QUEUE_LIMIT)
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE_S), self._slots:
                return await operation(self._client[self._name])
        except TimeoutError:
            raise DocumentsUnavailable(cause=f"no answer within {DEADLINE_S:g} s") from None
        except errors.PyMongoError as error:
            raise _translated(error) from None
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Take nothing new, wait for what is on its way and let go of the server."""
        if self._closed:
            return
        self._closed = True
        for _ in range(POOL_SIZE):  # each operation holds a slot until its deadline at most
            await self._slots.acquire()
        if self._client is not None:
            await asyncio.to_thread(self._client.close)

    async def _create(self, collection: str, indexes: Sequence[Index]) -> None:
        for index in indexes:
            await self._client[self._name][collection].create_index(
                list(index.keys), unique=index.unique, sparse=index.sparse
            )

    def _new_client(self) -> Any:
        try:
            return AsyncIOMotorClient(
                self._url.get_secret_value(),
                appname="continuity",
                timeoutMS=int(DEADLINE_S * 1e3),
                connectTimeoutMS=int(CONNECT_TIMEOUT_S * 1e3),
                maxPoolSize=POOL_SIZE,
                # Whoever asks tries again. The driver would repeat until the deadline; after a server that hung, each
                # of its threads takes it for away again because another has paused the pool (PyMongo 4.20).
                retryReads=False,
                retryWrites=False,
                w="majority",
                journal=True,
                readConcernLevel="majority",
                readPreference="primary",
            )
        except (errors.PyMongoError, ValueError, TypeError):  # whose text may hold what stands in the URL
            expected = "no address of a MongoDB server, like mongodb://user:password@host:27017"
            raise DocumentsMisconfigured(setting=SETTING, cause=expected) from None


def packed(body: Body) -> RawBSONDocument:
    """Return the body as the server holds it; ``raw`` is its bytes. Raises ``ValueError`` for what BSON can't hold."""
    try:
        return RawBSONDocument(bson.encode(body))
    except (BSONError, OverflowError) as error:
        raise ValueError(str(error)) from None


def update(filter: Mapping[str, Any], change: Mapping[str, Any]) -> pymongo.UpdateOne:
    """Return one part of a bulk write."""
    return pymongo.UpdateOne(filter, change)


async def insert_others(collection: Any, documents: Sequence[Mapping[str, Any]]) -> set[int]:
    """Write every document whose id and unique keys are free; return the places of the others."""
    if not documents:
        return set()
    try:
        await collection.insert_many(documents, ordered=False)
    except errors.BulkWriteError as error:
        failed: list[Mapping[str, Any]] = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(each["code"] != DUPLICATE_KEY for each in failed):
            raise
        return {each["index"] for each in failed}
    return set()


def _translated(error: errors.PyMongoError) -> Exception:
    if isinstance(error, errors.DuplicateKeyError):
        return Taken()
    # A password that is changed under way is as good as a server that is away: later may work.
    return DocumentsUnavailable(cause=_cause(error))


def _refused(error: errors.PyMongoError) -> DocumentsMisconfigured | None:
    if isinstance(error, errors.OperationFailure) and error.code in _NOT_LET_IN:
        return DocumentsMisconfigured(setting=SETTING, cause="the server refuses this user or password")
    return None


def _cause(error: errors.PyMongoError) -> str:
    """Cut off the driver's account of its settings and of the server's whole answer."""
    return str(error).partition(" (configured")[0].partition(", full error")[0][:200]
