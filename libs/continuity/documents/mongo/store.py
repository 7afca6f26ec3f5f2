"""Documents in MongoDB: one document a write, compare-and-set by version, no transaction, no change stream."""

from __future__ import annotations

import time
from collections.abc import Collection as SizedIterable
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic import SecretStr

from continuity.documents.body import BODY_LIMIT_BYTES, body_text, too_large
from continuity.documents.mongo import layout
from continuity.documents.mongo.connection import Connection, Database, Operation, T, Taken, insert_others, packed
from continuity.documents.mongo.layout import SEEN, Stored
from continuity.documents.mongo.outboxes import Outboxes
from continuity.documents.mongo.query import filtering, indexes, sorting
from continuity.documents.paging import page_token, stretches
from continuity.documents.port import (
    OUTBOX_LEASE_S,
    OUTBOX_LIMIT,
    Body,
    Collection,
    Condition,
    Document,
    DocumentExists,
    DocumentMissing,
    DocumentsBusy,
    DocumentsUnavailable,
    OutboxFull,
    OutgoingEvent,
    Page,
    Ref,
    VersionConflict,
)

_HEALTH = "health"


class MongoDocuments:
    """The adapter of ``Documents`` for a server, shared by every process that names the same database."""

    def __init__(self, url: str | SecretStr, database: str, collections: Iterable[Collection]) -> None:
        self._connection = Connection(url, database)
        self._collections = tuple(collections)
        self._outboxes = Outboxes(self._connection)

    async def open(self) -> MongoDocuments:
        """Connect and create indexes. Raises ``DocumentsMisconfigured`` and ``DocumentsUnavailable``."""
        await self._connection.open({collection.name: indexes(collection) for collection in self._collections})
        return self

    async def get(self, collection: Collection, project: str, id: str) -> Document:
        """Return a document. Raises ``DocumentMissing``."""
        asked = {"_id": layout.key(project, id)}
        found = await self._connection.run(lambda database: database[collection.name].find_one(asked, SEEN))
        if found is None:
            raise DocumentMissing(collection=collection.name, id=id)
        return layout.document(found)

    async def several(self, collection: Collection, project: str, ids: SizedIterable[str]) -> Mapping[str, Document]:
        """Return in one go those of a project's documents that exist, by id."""
        asked = {"_id": {"$in": [layout.key(project, id) for id in ids]}}
        found = await self._connection.run(lambda database: database[collection.name].find(asked, SEEN).to_list(None))
        return {document.id: document for document in map(layout.document, found)}

    async def insert(
        self, collection: Collection, document: Document, events: Sequence[OutgoingEvent] = (), owner: str = ""
    ) -> None:
        """Write a new document at version 1, with its events. Raises ``DocumentExists``."""
        stored = _new(collection, document, events, owner)
        await self._write(collection, document, lambda database: database[collection.name].insert_one(stored))

    async def insert_each(
        self, collection: Collection, made: Sequence[tuple[Document, Sequence[OutgoingEvent]]], owner: str = ""
    ) -> Sequence[bool]:
        """Write new documents with their events in one go, each for itself; False where one exists already."""
        stored = [_new(collection, document, events, owner) for document, events in made]
        taken = await self._connection.run(lambda database: insert_others(database[collection.name], stored))
        return [number not in taken for number in range(len(stored))]

    async def replace(
        self,
        collection: Collection,
        document: Document,
        events: Sequence[OutgoingEvent] = (),
        owner: str = "",
        consumed: str = "",
    ) -> None:
        """Write over ``document.version``, append the events. Raises ``VersionConflict``, ``DocumentMissing``."""
        asked: Stored = {"_id": layout.key(document.project, document.id), "version": document.version}
        seen = (*document.inbox, consumed) if consumed else document.inbox
        content = _content(collection, replace(document, inbox=seen))
        change: Stored = {"$set": content, "$inc": {"version": 1}}
        if "unique" not in content:
            change["$unset"] = {"unique": ""}
        if events:
            asked[f"outbox.{OUTBOX_LIMIT - len(events)}"] = {"$exists": False}
            change["$set"] = content | _lease(owner)
            change["$push"] = {"outbox": {"$each": layout.encoded(events)}}
        result = await self._write(
            collection, document, lambda database: database[collection.name].update_one(asked, change)
        )
        if result.matched_count == 0:
            await self._say_why(collection, document)

    async def delete(self, collection: Collection, project: str, id: str, version: int | None = None) -> None:
        """Remove a document and whatever waits in its outbox. Raises ``VersionConflict``."""
        named = {"_id": layout.key(project, id)}
        asked = named if version is None else {**named, "version": version}

        async def removed(database: Database) -> bool:
            documents = database[collection.name]
            gone = (await documents.delete_one(asked)).deleted_count == 1
            return gone or version is None or await documents.find_one(named, {"_id": 1}) is None

        if not await self._connection.run(removed):
            raise VersionConflict(collection=collection.name, id=id, version=version or 0)

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
        by = sorting(order)
        rows: list[Stored] = []
        for bounds in stretches(collection, where, project, order, token):
            asked, wanted = filtering(collection, where, project, bounds), limit + 1 - len(rows)
            rows += await self._find(collection, asked, by, wanted)
            if len(rows) > limit:
                break
        found = tuple(layout.document(row) for row in rows[:limit])
        return Page(found, page_token(collection, order, found[-1]) if len(rows) > limit else "")

    async def count(
        self, collection: Collection, where: Sequence[Condition], *, project: str | None, limit: int | None = None
    ) -> int:
        """Return how many documents meet the conditions, or ``limit`` when there are that many or more."""
        asked = filtering(collection, where, project)
        upto = {} if limit is None else {"limit": limit}
        number: int = await self._connection.run(
            lambda database: database[collection.name].count_documents(asked, **upto)
        )
        return number

    async def claim(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body
    ) -> Document | None:
        """Set ``changes`` on the first document that meets ``where`` and return it as changed; None without one."""
        asked, by = filtering(collection, where, None), sorting(order)
        change = {"$set": {f"body.{field}": value for field, value in changes.items()}, "$inc": {"version": 1}}
        found = await self._connection.run(
            lambda database: database[collection.name].find_one_and_update(
                asked, change, SEEN, sort=by, return_document=True
            )
        )
        return None if found is None else layout.document(found)

    async def claim_several(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body, limit: int
    ) -> Sequence[Document]:
        """Do what ``claim`` does to as many of the first documents, one after the other."""
        claimed: list[Document] = []
        try:
            while len(claimed) < limit and (found := await self.claim(collection, where, order, changes)):
                claimed.append(found)
        except (DocumentsUnavailable, DocumentsBusy):
            if not claimed:
                raise  # else those that are the caller's already would be nobody's
        return claimed

    async def due_outboxes(
        self, collections: Sequence[Collection], now: float, until: float, owner: str, limit: int
    ) -> tuple[Ref, ...]:
        """Take over outboxes that are due, or far ahead: they are ``owner``'s until ``until``, seconds since 1970."""
        taken: list[Ref] = []
        for collection in collections:
            if len(taken) < limit:
                taken += await self._outboxes.take(collection, now, until, owner, limit - len(taken))
        return tuple(taken)

    async def outbox(self, ref: Ref, owner: str | None = None) -> tuple[OutgoingEvent, ...]:
        """Return the waiting events of a document, oldest first; none when it is absent or not ``owner``'s."""
        return await self._outboxes.read(ref, owner)

    async def outboxes(self, refs: Sequence[Ref], owner: str) -> Mapping[Ref, tuple[OutgoingEvent, ...]]:
        """Return in one go what ``outbox`` would for each document; those without waiting events are left out."""
        found: dict[Ref, tuple[OutgoingEvent, ...]] = {}
        for name in {ref.collection for ref in refs}:
            found |= await self._outboxes.read_all(name, [ref for ref in refs if ref.collection == name], owner)
        return found

    async def settle(self, published: Mapping[Ref, Sequence[str]]) -> None:
        """Clear published events (by id) from the outboxes of their documents."""
        for name in {ref.collection for ref in published}:
            await self._outboxes.settle(name, {ref: ids for ref, ids in published.items() if ref.collection == name})

    async def check(self) -> None:
        """Raise ``DocumentsUnavailable`` unless the server accepts writes."""
        now = {"$set": {"time": time.time()}}
        await self._connection.run(lambda database: database[_HEALTH].update_one({"_id": "check"}, now, upsert=True))

    async def close(self) -> None:
        """Finish what is on its way and let go of the server."""
        await self._connection.close()

    async def _find(self, collection: Collection, asked: Stored, by: list[tuple[str, int]], limit: int) -> list[Stored]:
        found: list[Stored] = await self._connection.run(
            lambda database: database[collection.name].find(asked, SEEN).sort(by).limit(limit).to_list(None)
        )
        return found

    async def _write(self, collection: Collection, document: Document, operation: Operation[T]) -> T:
        try:
            return await self._connection.run(operation)
        except Taken:
            raise DocumentExists(collection=collection.name, id=document.id) from None

    async def _say_why(self, collection: Collection, document: Document) -> None:
        """Raise for what kept a write from its document."""
        asked = {"_id": layout.key(document.project, document.id)}
        fields = {"version": 1}
        found = await self._connection.run(lambda database: database[collection.name].find_one(asked, fields))
        if found is None:
            raise DocumentMissing(collection=collection.name, id=document.id)
        if found["version"] == document.version:
            raise OutboxFull(collection=collection.name, id=document.id, limit=OUTBOX_LIMIT)
        raise VersionConflict(collection=collection.name, id=document.id, version=document.version)


def _new(collection: Collection, document: Document, events: Sequence[OutgoingEvent], owner: str) -> Stored:
    stored = {"_id": layout.key(document.project, document.id), "version": 1, **_content(collection, document)}
    return stored | {"outbox": layout.encoded(events), **_lease(owner)} if events else stored


def _content(collection: Collection, document: Document) -> Stored:
    body_text(collection, document.id, document.body)
    body = packed(document.body)
    if len(body.raw) > BODY_LIMIT_BYTES:
        raise too_large(collection, document.id, len(body.raw))
    unique = layout.unique_keys(collection, document.project, document.body)
    return {"body": body, "inbox": layout.inbox(document.inbox)} | ({"unique": unique} if unique else {})


def _lease(owner: str) -> Stored:
    return {"outbox_due_time": time.time() + OUTBOX_LEASE_S, "outbox_owner": owner}
