"""What was accepted, and what the stores and topics hold afterwards, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import Message

from continuity.kernel.ids import derived_id

MessageType: TypeAlias = type[Message]


@dataclass(frozen=True)
class AcceptedJob:
    """A job whose id a client was told; ``place`` is the scene and number of its shot."""

    project: str
    id: str
    submission_id: str
    place: str


@dataclass(frozen=True)
class Asked:
    """A request as it was sent, whether or not an answer came; ``key`` is what makes its repetitions one."""

    project: str
    kind: str
    key: str

    @property
    def id(self) -> str:
        """The id of what it makes."""
        return derived_id(self.kind, self.project, self.key)


@dataclass
class Accepted:
    """All that clients have asked for and were promised. Members of the cast and jobs are (project, id).

    ``watched`` holds the last state in which a client that watched a job has seen it.
    """

    jobs: list[AcceptedJob] = field(default_factory=list)
    characters: set[tuple[str, str]] = field(default_factory=set)
    locations: set[tuple[str, str]] = field(default_factory=set)
    asked: set[Asked] = field(default_factory=set)
    cancelled: set[tuple[str, str]] = field(default_factory=set)
    watched: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def submissions(self) -> set[tuple[str, str]]:
        """The submissions of all promised jobs."""
        return {(job.project, job.submission_id) for job in self.jobs}


@dataclass(frozen=True)
class StoredDocument:
    """A document with how many events wait in its outbox."""

    collection: str
    project: str
    id: str
    version: int
    body: Mapping[str, Any]
    inbox: tuple[str, ...] = ()
    waiting_events: int = 0

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"{self.collection} {self.project}/{self.id}"


@dataclass(frozen=True)
class StoredObject:
    """What the bytes under a key really are."""

    key: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class TopicEvent:
    """A record on a topic. The same event, which ``source`` and ``id`` name, may stand there more than once."""

    topic: str
    project: str
    key: str
    source: str
    id: str
    type: str
    payload: bytes

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"{self.type} {self.id} of {self.project}/{self.key}"

    def opened(self, message: MessageType) -> Any:
        """Return the payload as its message. Raises ``DecodeError``."""
        return message.FromString(self.payload)


@dataclass(frozen=True)
class Evidence:
    """``events`` of one key stand in their topic's order.

    ``unhandled`` counts the events of a topic that a group has not acknowledged, by (group, topic).
    """

    documents: tuple[StoredDocument, ...] = ()
    objects: Mapping[str, StoredObject] = field(default_factory=dict)
    events: tuple[TopicEvent, ...] = ()
    unhandled: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def of(self, collection: str) -> list[StoredDocument]:
        """Return the documents of a collection."""
        return [document for document in self.documents if document.collection == collection]
