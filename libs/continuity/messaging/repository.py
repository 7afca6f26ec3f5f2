"""Aggregates on the document port: read, decide, write with its events in one atomic write, nudge the relay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from continuity.documents.port import Collection, Condition, Document, Documents, Ref, VersionConflict
from continuity.kernel.values import Change
from continuity.messaging.cause import current_cause
from continuity.messaging.codec import EventCodec
from continuity.messaging.relay import Relay

T = TypeVar("T")

MAX_CONFLICTS = 20


@dataclass(frozen=True)
class Stored(Generic[T]):
    """An aggregate and where it stands."""

    aggregate: T
    project: str
    id: str
    version: int


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

    async def add(self, project: str, id: str, change: Change[T]) -> None:
        """Write a new aggregate. Raises ``DocumentExists``."""
        cause = current_cause()
        document = Document(project, id, 0, self._dump(change.aggregate), (cause.key,) if cause else ())
        events = self._codec.encode(project, change.events)
        await self._documents.insert(self._collection, document, events, self._relay.owner)
        self._told(project, id, events)

    async def change(self, project: str, id: str, decide: Callable[[T], Change[T] | None]) -> T:
        """Change an aggregate by a decision, again if somebody else was first; return it as it is then.

        ``decide`` returns None where there is nothing to do. When the event that is being handled has been applied
        before, nothing happens. Raises ``DocumentMissing``, what ``decide`` raises, and ``VersionConflict`` after
        twenty lost races.
        """
        for _ in range(MAX_CONFLICTS - 1):
            try:
                return await self._change_once(project, id, decide)
            except VersionConflict:
                continue
        return await self._change_once(project, id, decide)

    async def _change_once(self, project: str, id: str, decide: Callable[[T], Change[T] | None]) -> T:
        document = await self._documents.get(self._collection, project, id)
        aggregate = self._load(document).aggregate
        cause = current_cause()
        change = None if cause and cause.key in document.inbox else decide(aggregate)
        if change is None:
            return aggregate
        events = self._codec.encode(project, change.events)
        changed = replace(document, body=self._dump(change.aggregate))
        consumed = cause.key if cause else ""
        await self._documents.replace(self._collection, changed, events, self._relay.owner, consumed)
        self._told(project, id, events)
        return change.aggregate

    async def claim(
        self, where: Sequence[Condition], order: Sequence[str], changes: dict[str, Any]
    ) -> Stored[T] | None:
        """Set fields on the first aggregate that meets ``where``, atomically; None when there is none."""
        document = await self._documents.claim(self._collection, where, order, changes)
        return None if document is None else self._load(document)

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

    async def count(self, where: Sequence[Condition], *, project: str | None) -> int:
        """Return how many aggregates meet the conditions."""
        return await self._documents.count(self._collection, where, project=project)

    def _load(self, document: Document) -> Stored[T]:
        aggregate = self._adapter.validate_python(document.body)
        return Stored(aggregate, document.project, document.id, document.version)

    def _dump(self, aggregate: T) -> dict[str, Any]:
        body: dict[str, Any] = self._adapter.dump_python(aggregate, mode="json")
        return body

    def _told(self, project: str, id: str, events: Sequence[object]) -> None:
        if events:
            self._relay.nudge(Ref(self._collection.name, project, id))


@cache
def _adapter(aggregate: Any) -> TypeAdapter[Any]:
    return TypeAdapter(aggregate)
