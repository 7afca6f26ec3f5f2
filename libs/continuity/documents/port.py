"""The document store as services see it.

A document and the events that tell of its change are written in one atomic write: the events are appended to the
document's own outbox. No operation spans two documents, so the port is equally true on a server without transactions.
"""

from __future__ import annotations

from collections.abc import Collection as SizedIterable
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from continuity.kernel.errors import Absent, Conflict, Exists, Full, Invalid, Misconfigured, Unavailable

Json: TypeAlias = Any
Body: TypeAlias = Mapping[str, Json]

INBOX_LIMIT = 64
"""How many consumed events a document remembers, newest last."""
OUTBOX_LIMIT = 1_000
"""How many events may wait in one document."""
OUTBOX_LEASE_S = 5.0
"""How long a writer's own relay may take before a sweeper takes the outbox over."""
CLOCK_MARGIN_S = 60.0
"""How far an outbox's time may lie behind the end of any lease before it counts as set by a clock that was ahead."""


@dataclass(eq=False)
class DocumentMissing(Absent):
    """No document of this project has the id."""

    template = "{collection} {id!r} does not exist"
    collection: str
    id: str


@dataclass(eq=False)
class DocumentExists(Exists):
    """A document with this id, or with the same value under a unique index, stands already."""

    template = "{collection} {id!r} exists already"
    collection: str
    id: str


@dataclass(eq=False)
class VersionConflict(Conflict):
    """The document changed since it was read."""

    template = "{collection} {id!r} is no longer at version {version}"
    collection: str
    id: str
    version: int


@dataclass(eq=False)
class DocumentsUnavailable(Unavailable):
    """The store does not answer, or cannot write."""

    template = "the document store does not answer: {cause}"
    cause: str


@dataclass(eq=False)
class DocumentsBusy(Full):
    """More operations wait for the store than it queues."""

    template = "{waiting} operations wait for the document store; the limit is {limit}"
    waiting: int
    limit: int


@dataclass(eq=False)
class DocumentsMisconfigured(Misconfigured):
    """The store can't be used with these settings; a person must mend them. ``cause`` holds no secret."""

    template = "{setting}: {cause}"
    setting: str
    cause: str


@dataclass(eq=False)
class DocumentTooLarge(Invalid):
    """A body is longer than a document may be. Sizes are bytes."""

    template = "{collection} {id!r} has {size_bytes} bytes; a document holds at most {limit_bytes}"
    collection: str
    id: str
    size_bytes: int
    limit_bytes: int


@dataclass(eq=False)
class OutboxFull(Full):
    """So many events of a document wait to be published that it takes no more."""

    template = "{limit} events of {collection} {id!r} wait to be published; that is the limit"
    collection: str
    id: str
    limit: int


@dataclass(frozen=True)
class Collection:
    """A named set of documents and the top-level body fields that are looked up, each of them scalar.

    All are tuples of fields; a descending one begins with ``-``. ``unique`` ones hold within a project and ignore
    documents that lack a field. ``indexes`` serve queries over every project, ``listings`` those within one (an empty
    tuple is the listing by id). An index serves a query when it begins with the fields that are asked to be equal and
    goes on with those of the order.
    """

    name: str
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    listings: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class OutgoingEvent:
    """An event that waits in an outbox. ``time`` is seconds since the epoch; ``payload`` is serialized protobuf."""

    id: str
    source: str
    type: str
    topic: str
    key: str
    project: str
    time: float
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ref:
    """Names one document."""

    collection: str
    project: str
    id: str


@dataclass(frozen=True)
class Document:
    """One stored document. ``inbox`` holds the keys of the events that it has consumed, newest last."""

    project: str
    id: str
    version: int
    body: Body
    inbox: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Some documents in order, and the token that asks for the next ones (empty on the last page)."""

    documents: tuple[Document, ...]
    next_token: str


@dataclass(frozen=True)
class Condition:
    """One condition on a top-level body field; a missing field equals ``None`` and is below nothing."""

    field: str
    operator: Literal["=", "<=", "in"]
    value: Json


def equal(field: str, value: Json) -> Condition:
    """Ask that the field equals the value."""
    return Condition(field, "=", value)


def at_most(field: str, value: float) -> Condition:
    """Ask that the field holds a number no greater than the value."""
    return Condition(field, "<=", value)


def one_of(field: str, values: SizedIterable[Json]) -> Condition:
    """Ask that the field equals one of the values."""
    return Condition(field, "in", tuple(values))


class Documents(Protocol):
    """A store of documents. Every write is durable when it returns.

    Bodies are JSON: ``insert`` and ``replace`` raise ``ValueError`` for NaN and infinity, ``DocumentTooLarge`` beyond
    12 MB and ``OutboxFull``; whatever does not answer in time is ``DocumentsUnavailable``, too many at once are
    ``DocumentsBusy``.
    """

    async def get(self, collection: Collection, project: str, id: str) -> Document:
        """Return a document. Raises ``DocumentMissing``."""
        ...

    async def several(self, collection: Collection, project: str, ids: SizedIterable[str]) -> Mapping[str, Document]:
        """Return in one go those of a project's documents that exist, by id."""
        ...

    async def insert(
        self, collection: Collection, document: Document, events: Sequence[OutgoingEvent] = (), owner: str = ""
    ) -> None:
        """Write a new document at version 1, with its events. Raises ``DocumentExists``."""
        ...

    async def insert_each(
        self, collection: Collection, made: Sequence[tuple[Document, Sequence[OutgoingEvent]]], owner: str = ""
    ) -> Sequence[bool]:
        """Write new documents with their events in one go, each for itself; False where one exists already."""
        ...

    async def replace(
        self,
        collection: Collection,
        document: Document,
        events: Sequence[OutgoingEvent] = (),
        owner: str = "",
        consumed: str = "",
    ) -> None:
        """Write the body over ``document.version``, which becomes one more; append the events to the outbox.

        ``consumed`` is the key of the event that caused the change; it goes into the inbox in the same write. ``owner``
        names the relay that will publish the events. Raises ``VersionConflict`` and ``DocumentMissing``.
        """
        ...

    async def delete(self, collection: Collection, project: str, id: str, version: int | None = None) -> None:
        """Remove a document and whatever waits in its outbox. Nothing happens when it is absent.

        With ``version``, raises ``VersionConflict`` when it stands at another one.
        """
        ...

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
        """Return documents in ``order`` (then by project and id, in the direction of the last field).

        ``project`` None means those of every project.
        """
        ...

    async def count(
        self, collection: Collection, where: Sequence[Condition], *, project: str | None, limit: int | None = None
    ) -> int:
        """Return how many documents meet the conditions, or ``limit`` when there are that many or more."""
        ...

    async def claim(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body
    ) -> Document | None:
        """Set ``changes`` on the first document that meets ``where`` and return it as changed; None when there is none.

        Two callers at once never get the same document while the changes make it fail ``where``. The changes name no
        field of a unique index.
        """
        ...

    async def claim_several(
        self, collection: Collection, where: Sequence[Condition], order: Sequence[str], changes: Body, limit: int
    ) -> Sequence[Document]:
        """Do what ``claim`` does to as many of the first documents, in order."""
        ...

    async def due_outboxes(
        self, collections: Sequence[Collection], now: float, until: float, owner: str, limit: int
    ) -> tuple[Ref, ...]:
        """Take over outboxes whose time has come: they are ``owner``'s until ``until`` (seconds since the epoch).

        ``until`` is as late as any lease ends by a clock that is right, so those whose time lies more than
        ``CLOCK_MARGIN_S`` behind it are taken over as well: a clock that was ahead has set it.
        """
        ...

    async def outbox(self, ref: Ref, owner: str | None = None) -> tuple[OutgoingEvent, ...]:
        """Return the waiting events of a document, oldest first; none when the document is absent.

        With ``owner``, also none when the outbox has become somebody else's.
        """
        ...

    async def outboxes(self, refs: Sequence[Ref], owner: str) -> Mapping[Ref, tuple[OutgoingEvent, ...]]:
        """Return in one go what ``outbox`` would for each document; those without waiting events are left out."""
        ...

    async def settle(self, published: Mapping[Ref, Sequence[str]]) -> None:
        """Clear events (by id) that have been published from their documents' outboxes."""
        ...

    async def check(self) -> None:
        """Raise ``DocumentsUnavailable`` unless the store accepts writes."""
        ...

    async def close(self) -> None:
        """Finish what is queued and let go of the store."""
        ...
