"""CloudEvents 1.0 in Kafka's binary mode: attributes as ``ce_…`` headers, the protobuf payload as the value.

Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

from __future__ import annotations

import re
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
ATTRIBUTE_PREFIX = "ce_"
TYPE_PREFIX = "film.continuity."
"""Reverse-DNS prefix of every event type; the message's name follows."""
SPEC_VERSION = "1.0"
_LATER_VERSION = re.compile(r"(?:[2-9]|[1-9]\d+)\.\d+")
_REQUIRED = ("ce_id", "ce_source", "ce_type")
"""What every version of CloudEvents asks for."""
_REQUIRED_HERE = ("ce_subject", "ce_project")


@dataclass(eq=False)
class EventMalformed(Invalid):
    """A record on a topic is not one of our events."""

    template = "header {header} of the record is {value!r}; {limit}"
    header: str
    value: str
    limit: str


@dataclass(eq=False)
class EventInvalid(Invalid):
    """The payload of an event breaks a rule that its proto states.

    ``field`` is a path such as ``shot.scene_id``; ``value`` tells of what users may have written only the size.
    """

    template = "field {field} of the {type} is {value!r}; {limit}"
    type: str
    field: str
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
    """An event as a consumer sees it. ``key`` (source and id) is what deduplication goes by.

    One ``of_later_version`` comes from a program that is newer than this one: it may lack subject and project, and
    nothing but its id is to be relied on.
    """

    id: str
    source: str
    type: str
    subject: str
    project: str
    payload: bytes
    correlation_id: str
    extensions: Mapping[str, str]
    of_later_version: bool = False

    @property
    def key(self) -> str:
        """Source and id, unique among all events."""
        return f"{self.source}#{self.id}"


def headers(event: OutgoingEvent) -> dict[str, str]:
    """Return the Kafka headers of an event."""
    return {
        "ce_specversion": SPEC_VERSION,
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
    version = found.get("ce_specversion", "")
    later = _LATER_VERSION.fullmatch(version) is not None
    for header in _REQUIRED if later else _REQUIRED + _REQUIRED_HERE:
        if not found.get(header):
            raise EventMalformed(header=header, value="", limit="it must be set")
    if not later and version != SPEC_VERSION:
        raise EventMalformed(header="ce_specversion", value=version, limit=f'it must be "{SPEC_VERSION}"')
    extensions = {
        name.removeprefix(ATTRIBUTE_PREFIX): value for name, value in found.items() if name.startswith(ATTRIBUTE_PREFIX)
    }
    return Event(
        id=found["ce_id"],
        source=found["ce_source"],
        type=found["ce_type"].removeprefix(TYPE_PREFIX),
        subject=found.get("ce_subject", ""),
        project=found.get("ce_project", ""),
        payload=payload,
        correlation_id=extensions.get("correlationid", found["ce_id"]),
        extensions=extensions,
        of_later_version=later,
    )
