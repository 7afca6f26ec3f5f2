"""Outboxes in MongoDB: found by their time, taken over by one sweeper, cleared beside writers that append."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from continuity.documents.mongo.connection import Connection, Database, update
from continuity.documents.mongo.layout import Stored, decoded, key, ref
from continuity.documents.port import CLOCK_MARGIN_S, Collection, OutgoingEvent, Ref

DUE_ORDER = [("outbox_due_time", 1)]


class Outboxes:
    """The part of the store that relays use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take(self, collection: Collection, now: float, until: float, owner: str, limit: int) -> list[Ref]:
        """Take over due outboxes of one collection, each only if nobody else has by then."""
        due = due_at(now, until + CLOCK_MARGIN_S)

        async def taken(database: Database) -> list[Stored]:
            found = await database[collection.name].find(due, {"_id": 1}).sort(DUE_ORDER).limit(limit).to_list(None)
            if not found:
                return []
            lease = {"$set": {"outbox_due_time": until, "outbox_owner": owner}}
            writes = [update({"_id": each["_id"], **due}, lease) for each in found]
            result = await database[collection.name].bulk_write(writes, ordered=False)
            if result.matched_count == len(found):
                return list(found)
            mine = {"_id": {"$in": [each["_id"] for each in found]}, "outbox_owner": owner, "outbox_due_time": until}
            return list(await database[collection.name].find(mine, {"_id": 1}).to_list(None))

        return [ref(collection, each["_id"]) for each in await self._connection.run(taken)]

    async def read(self, named: Ref, owner: str | None) -> tuple[OutgoingEvent, ...]:
        """Return the waiting events of a document; none when the outbox is not ``owner``'s."""
        asked = {"_id": key(named.project, named.id)} | ({} if owner is None else {"outbox_owner": owner})
        found = await self._connection.run(lambda database: database[named.collection].find_one(asked, {"outbox": 1}))
        return decoded((found or {}).get("outbox", ()))

    async def read_all(self, collection: str, named: Sequence[Ref], owner: str) -> dict[Ref, tuple[OutgoingEvent, ...]]:
        """Return the waiting events of the documents of one collection whose outboxes are ``owner``'s."""
        by_key = {(each.project, each.id): each for each in named}
        asked = {"_id": {"$in": [key(*each) for each in by_key]}, "outbox_owner": owner}
        found = await self._connection.run(
            lambda database: database[collection].find(asked, {"outbox": 1}).to_list(None)
        )
        return {
            by_key[each["_id"]["p"], each["_id"]["i"]]: decoded(each["outbox"]) for each in found if each.get("outbox")
        }

    async def settle(self, collection: str, published: Mapping[Ref, Sequence[str]]) -> None:
        """Clear published events from the documents of one collection."""
        writes = [write for named, ids in published.items() for write in _clearing(named, list(ids))]
        await self._connection.run(lambda database: database[collection].bulk_write(writes, ordered=False))


def due_at(now: float, far: float) -> dict[str, Any]:
    """Return the filter for outboxes whose time has come, or lies beyond ``far``."""
    return {"$or": [{"outbox_due_time": {"$lte": now}}, {"outbox_due_time": {"$gt": far}}]}


def _clearing(named: Ref, ids: list[str]) -> list[Any]:
    """Two writes of which one applies: nothing else waits and all goes, or something does and keeps its place.

    Neither leaves an empty outbox, nor drops what a writer appends between them. Should the last of the others be
    cleared between them by somebody else, these stay, and are published again when their time comes.
    """
    other = {"$elemMatch": {"id": {"$nin": ids}}}
    document = {"_id": key(named.project, named.id)}
    gone = {"$unset": {"outbox": "", "outbox_due_time": "", "outbox_owner": ""}}
    return [
        update({**document, "outbox": {"$not": other}}, gone),
        update({**document, "outbox": other}, {"$pull": {"outbox": {"id": {"$in": ids}}}}),
    ]
