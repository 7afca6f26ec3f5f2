"""CloudEvents 1.0 in Kafka's binary mode: attributes as ``ce_…`` headers, the protobuf payload as the value.

Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from continuity.documents.port import OutgoingEvent
from continuity.kernel.clock import utc
from continuity.kernel.errors import Invalid

CONTENT_TYPE = "application/protobuf"
MAX_EVENT_BYTES = 1_000_000
"""The longest payload; what brokers take by default, with room for headers."""
MAX_RECORD_BYTES = MAX_EVENT_BYTES + 64_000
"""The longest record, headers included, that topics take and clients send."""
TYPE_PREFIX = "film.continuity."
"""Reverse-DNS prefix of every event type; the message's name follows."""


@dataclass(eq=False)
class EventMalformed(Invalid):
    """A record on a topic is not one of our events."""

    template = "header {header} of the record is {value!r}; {limit}"
    header: str
    value: str
    limit: str


@dataclass(eq=False)
class EventTooLarge(Invalid):
    """A payload is longer than a broker takes; in an outbox it would hold up everything behind it."""

    template = "a {type} of {size_bytes} bytes is too large; the limit is {limit_bytes}"
    type: str
    size_bytes: int
    limit_bytes: int = MAX_EVENT_BYTES


@dataclass(frozen=True)
class Event:
    """An event as a consumer sees it. ``key`` (source and id) is what deduplication goes by."""

    id: str
    source: str
    type: str
    subject: str
    project: str
    payload: bytes
    correlation_id: str
    extensions: Mapping[str, str]

    @property
    def key(self) -> str:
        """Source and id, unique among all events."""
        return f"{self.source}#{self.id}"


def headers(event: OutgoingEvent) -> dict[str, str]:
    """Return the Kafka headers of an event."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_source": event.source,
        "ce_type": TYPE_PREFIX + event.type,
        "ce_subject": event.key,
        "ce_time": utc(event.time).isoformat(),
        "ce_partitionkey": event.key,
        "ce_project": event.project,
        "content-type": CONTENT_TYPE,
        **{f"ce_{name}": value for name, value in event.headers.items()},
    }


def readable(raw_headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return the headers of any record as text, whatever bytes they hold."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in raw_headers}


def open_envelope(raw_headers: Sequence[tuple[str, bytes | None]], payload: bytes) -> Event:
    """Return the event that a record holds. Raises ``EventMalformed`` naming the header."""
    found = readable(raw_headers)
    for header in ("ce_id", "ce_source", "ce_type", "ce_subject", "ce_project"):
        if not found.get(header):
            raise EventMalformed(header=header, value="", limit="it must be set")
    if found.get("ce_specversion") != "1.0":
        raise EventMalformed(header="ce_specversion", value=found.get("ce_specversion", ""), limit='it must be "1.0"')
    extensions = {name[3:]: value for name, value in found.items() if name.startswith("ce_")}
    return Event(
        id=found["ce_id"],
        source=found["ce_source"],
        type=found["ce_type"].removeprefix(TYPE_PREFIX),
        subject=found["ce_subject"],
        project=found["ce_project"],
        payload=payload,
        correlation_id=extensions.get("correlationid", found["ce_id"]),
        extensions=extensions,
    )
