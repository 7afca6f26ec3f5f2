"""Which protobuf message each domain event becomes, and on which topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from continuity.documents.port import OutgoingEvent
from continuity.kernel.clock import utc
from continuity.kernel.ids import new_id
from continuity.messaging.cause import current_cause
from continuity.messaging.envelope import MAX_EVENT_BYTES, Event, EventInvalid, EventMalformed, EventTooLarge
from continuity.telemetry.propagation import TRACEPARENT, current_traceparent
from continuity.wire.conversion import to_message
from continuity.wire.rules import violations


@dataclass(frozen=True)
class Publication:
    """How one kind of domain event leaves the service. ``key`` reads the aggregate id off the event.

    One that is not ``traced`` is no part of any trace: there are many of them, and nothing follows from them.
    """

    topic: str
    message: type[Message]
    key: Callable[[Any], str]
    traced: bool = True


class EventCodec:
    """Turns the domain events of one service, which is their source, into outgoing events."""

    def __init__(self, service: str, publications: Mapping[type, Publication]) -> None:
        self._source = f"continuity/{service}"
        self._publications = publications

    def encode(self, project: str, events: Sequence[object], traceparent: str | None = None) -> list[OutgoingEvent]:
        """Return the events ready for an outbox, carrying what they were caused by. Raises ``EventTooLarge``.

        They are part of the trace that ``traceparent`` names, by default of the running one.
        """
        parent = traceparent or _current_trace()
        return [self._encode(project, event, parent) for event in events]

    def _encode(self, project: str, event: object, traceparent: str | None) -> OutgoingEvent:
        publication = self._publications[type(event)]
        payload = to_message(event, publication.message).SerializeToString(deterministic=True)
        if len(payload) > MAX_EVENT_BYTES:
            raise EventTooLarge(type=publication.message.DESCRIPTOR.name, size_bytes=len(payload))
        event_id = new_id()
        traced = {TRACEPARENT: traceparent} if traceparent and publication.traced else {}
        return OutgoingEvent(
            id=event_id,
            source=self._source,
            type=publication.message.DESCRIPTOR.name,
            topic=publication.topic,
            key=publication.key(event),
            project=project,
            time=time.time(),
            payload=payload,
            headers=_causes(event_id) | traced | _expiry(event),
        )


def decode(event: Event, message: type[Message]) -> Message:
    """Return the payload as its protobuf message. Raises ``EventMalformed`` and ``EventInvalid``."""
    try:
        decoded = message.FromString(event.payload)
    except DecodeError as error:
        raise EventMalformed(header="ce_type", value=event.type, limit=f"the payload does not parse: {error}") from None
    if broken := violations(decoded):
        first = broken[0]
        raise EventInvalid(type=event.type, field=first.field, value=first.outline, limit=first.limit)
    return decoded


def _causes(event_id: str) -> dict[str, str]:
    cause = current_cause()
    if cause is None:
        return {"correlationid": event_id}
    return {"correlationid": cause.correlation_id, "causationid": cause.id}


def _expiry(event: object) -> dict[str, str]:
    """Return the CloudEvents extension that tells when nobody cares about the event any more, if it says so."""
    expire_time: float | None = getattr(event, "expire_time", None)
    return {} if expire_time is None else {"expirytime": utc(expire_time).isoformat()}


def _current_trace() -> str | None:
    """Return the trace of the running code, or of the event that it handles."""
    cause = current_cause()
    return current_traceparent() or (cause.extensions.get(TRACEPARENT) if cause else None)
