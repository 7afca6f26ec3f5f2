"""Which protobuf message each domain event becomes, and on which topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from continuity.documents.port import OutgoingEvent
from continuity.kernel.ids import new_id
from continuity.messaging.cause import current_cause
from continuity.messaging.envelope import MAX_EVENT_BYTES, Event, EventMalformed, EventTooLarge
from continuity.wire.conversion import to_message


@dataclass(frozen=True)
class Publication:
    """How one kind of domain event leaves the service. ``key`` reads the aggregate id off the event."""

    topic: str
    message: type[Message]
    key: Callable[[Any], str]


class EventCodec:
    """Turns the domain events of one service, which is their source, into outgoing events."""

    def __init__(self, service: str, publications: Mapping[type, Publication]) -> None:
        self._source = f"continuity/{service}"
        self._publications = publications

    def encode(self, project: str, events: Sequence[object]) -> list[OutgoingEvent]:
        """Return the events ready for an outbox, carrying what they were caused by. Raises ``EventTooLarge``."""
        return [self._encode(project, event) for event in events]

    def _encode(self, project: str, event: object) -> OutgoingEvent:
        publication = self._publications[type(event)]
        payload = to_message(event, publication.message).SerializeToString(deterministic=True)
        if len(payload) > MAX_EVENT_BYTES:
            raise EventTooLarge(type=publication.message.DESCRIPTOR.name, size_bytes=len(payload))
        event_id = new_id()
        return OutgoingEvent(
            id=event_id,
            source=self._source,
            type=publication.message.DESCRIPTOR.name,
            topic=publication.topic,
            key=publication.key(event),
            project=project,
            time=time.time(),
            payload=payload,
            headers=_causes(event_id),
        )


def decode(event: Event, message: type[Message]) -> Message:
    """Return the payload as its protobuf message. Raises ``EventMalformed``."""
    try:
        return message.FromString(event.payload)
    except DecodeError as error:
        raise EventMalformed(header="ce_type", value=event.type, limit=f"the payload does not parse: {error}") from None


def _causes(event_id: str) -> dict[str, str]:
    cause = current_cause()
    if cause is None:
        return {"correlationid": event_id}
    inherited = {name: cause.extensions[name] for name in ("traceparent",) if name in cause.extensions}
    return {"correlationid": cause.correlation_id, "causationid": cause.id, **inherited}
