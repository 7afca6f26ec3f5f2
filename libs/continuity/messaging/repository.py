"""Aggregates on the document port: read, decide, write with its events in one atomic write, nudge the relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from continuity.documents.port import (
    INBOX_LIMIT,
    Collection,
    Condition,
    Document,
    Documents,
    OutgoingEvent,
    Ref,
    VersionConflict,
)
from continuity.kernel.values import Change
from continuity.messaging.cause import current_cause
from continuity.messaging.codec import EventCodec
from continuity.messaging.relay import Relay
from continuity.telemetry.propagation import TRACEPARENT, current_traceparent, outgoing

T = TypeVar("T")

MAX_CONFLICTS = 20


@dataclass(frozen=True)
class Stored(Generic[T]):
    """An aggregate and where it stands. ``traceparent`` names the trace in which it was added, if there was one.

    ``inbox`` holds the keys of the events that it has consumed.
    """

    aggregate: T
    project: str
    id: str
    version: int
    traceparent: str | None = None
    inbox: tuple[str, ...] = ()


class Aggregates(Generic[T]):
    """The aggregates of one type (a frozen dataclass) in one collection. Writes are durable when they return."""

    def __init__(
        self, aggregate: type[T], collection: Collection, documents: Documents, codec: EventCodec, relay: Relay
    ) -> None:
        self._adapter: TypeAdapter[T] = _adapter(aggregate)  # type: ignore[arg-type]
        self._collection = collection
        self._documents = documents
        self._codec = codec
        self._relay = relay

    async def get(self, project: str, id: str) -> T:
        """Return an aggregate. Raises ``DocumentMissing``."""
        return self._load(await self._documents.get(self._collection, project, id)).aggregate

    async def several(self, project: str, ids: Sequence[str]) -> dict[str, T]:
        """Return in one go those aggregates of a project that exist, by id."""
        found = await self._documents.several(self._collection, project, ids)
        return {id: self._load(document).aggregate for id, document in found.items()}

    async def has_unpublished(self, project: str, id: str) -> bool:
        """Tell whether events of an aggregate wait to be published; none of one that is missing does."""
        return bool(await self._documents.outbox(Ref(self._collection.name, project, id)))

    async def add(self, project: str, id: str, change: Change[T]) -> None:
        """Write a new aggregate. Raises ``DocumentExists``."""
        document, events = self._made(project, id, change)
        await self._documents.insert(self._collection, document, events, self._relay.owner)
        self._told(project, id, events)

    async def add_each(self, project: str, changes: Mapping[str, Change[T]]) -> dict[str, Stored[T]]:
        """Write new aggregates by id in one go, each for itself; return those that did not exist, by id."""
        made = [self._made(project, id, change) for id, change in changes.items()]
        added = await self._documents.insert_each(self._collection, made, self._relay.owner)
        new = [one for one, is_new in zip(made, added, strict=True) if is_new]
        for document, events in new:
            self._told(project, document.id, events)
        home = current_traceparent()
        return {one.id: Stored(changes[one.id].aggregate, project, one.id, 1, home, one.inbox) for one, _ in new}

    async def change(self, project: str, id: str, decide: Callable[[T], Change[T] | None]) -> T:
        """Change an aggregate by a decision, again if somebody else was first; return it as it is then.

        ``decide`` returns None where there is nothing to do. When the event that is being handled has been applied
        before, nothing happens. Raises ``DocumentMissing``, what ``decide`` raises, and ``VersionConflict`` after
        twenty lost races.
        """
        return (await self._change(project, id, decide, None)).aggregate

    async def change_known(self, known: Stored[T], decide: Callable[[T], Change[T] | None]) -> Stored[T]:
        """Do what ``change`` does to an aggregate that the caller has just added, claimed or changed.

        It is read only when somebody has changed it since, or when there seems to be nothing to do.
        """
        return await self._change(known.project, known.id, decide, known)

    async def _change(
        self, project: str, id: str, decide: Callable[[T], Change[T] | None], known: Stored[T] | None
    ) -> Stored[T]:
        for _ in range(MAX_CONFLICTS - 1):
            try:
                if known and (changed := await self._apply(known, decide)):
                    return changed
                return await self._change_once(project, id, decide)
            except VersionConflict:
                known = None
        return await self._change_once(project, id, decide)

    async def _change_once(self, project: str, id: str, decide: Callable[[T], Change[T] | None]) -> Stored[T]:
        stored = self._load(await self._documents.get(self._collection, project, id))
        return await self._apply(stored, decide) or stored

    async def _apply(self, stored: Stored[T], decide: Callable[[T], Change[T] | None]) -> Stored[T] | None:
        """Write what is decided on an aggregate, if it still stands at this version; None when nothing is."""
        cause = current_cause()
        change = None if cause and cause.key in stored.inbox else decide(stored.aggregate)
        if change is None:
            return None
        events = self._codec.encode(stored.project, change.events, outgoing(stored.traceparent))
        body = self._dump(change.aggregate, stored.traceparent)
        document = Document(stored.project, stored.id, stored.version, body, stored.inbox)
        consumed = cause.key if cause else ""
        await self._documents.replace(self._collection, document, events, self._relay.owner, consumed)
        self._told(stored.project, stored.id, events)
        inbox = (*stored.inbox, consumed)[-INBOX_LIMIT:] if consumed else stored.inbox
        return replace(stored, aggregate=change.aggregate, version=stored.version + 1, inbox=inbox)

    async def claim(
        self, where: Sequence[Condition], order: Sequence[str], changes: dict[str, Any], limit: int = 1
    ) -> list[Stored[T]]:
        """Set fields on the first aggregates that meet ``where``, each atomically, and return them in order."""
        claimed = await self._documents.claim_several(self._collection, where, order, changes, limit)
        return [self._load(document) for document in claimed]

    async def page(
        self,
        where: Sequence[Condition] = (),
        *,
        project: str | None,
        order: Sequence[str] = (),
        limit: int = 50,
        token: str = "",
    ) -> tuple[list[Stored[T]], str]:
        """Return aggregates in order and the token of the next page."""
        page = await self._documents.page(
            self._collection, where, project=project, order=order, limit=limit, token=token
        )
        return [self._load(document) for document in page.documents], page.next_token

    async def count(self, where: Sequence[Condition], *, project: str | None, limit: int | None = None) -> int:
        """Return how many aggregates meet the conditions, or ``limit`` when there are that many or more."""
        return await self._documents.count(self._collection, where, project=project, limit=limit)

    def _load(self, document: Document) -> Stored[T]:
        aggregate = self._adapter.validate_python(document.body)
        home = document.body.get(TRACEPARENT)
        return Stored(aggregate, document.project, document.id, document.version, home, document.inbox)

    def _made(self, project: str, id: str, change: Change[T]) -> tuple[Document, list[OutgoingEvent]]:
        cause = current_cause()
        body = self._dump(change.aggregate, current_traceparent())
        document = Document(project, id, 0, body, (cause.key,) if cause else ())
        return document, self._codec.encode(project, change.events)

    def _dump(self, aggregate: T, home: str | None) -> dict[str, Any]:
        """Return the body: the aggregate's own fields, and beside them the trace that it belongs to."""
        body: dict[str, Any] = self._adapter.dump_python(aggregate, mode="json")
        return body | {TRACEPARENT: home} if home else body

    def _told(self, project: str, id: str, events: Sequence[object]) -> None:
        if events:
            self._relay.nudge(Ref(self._collection.name, project, id))


@cache
def _adapter(aggregate: Any) -> TypeAdapter[Any]:
    return TypeAdapter(aggregate)
