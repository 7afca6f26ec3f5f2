"""An event that a service holds in its own store: one that waits for a retry, or a dead letter."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from continuity.kernel.values import Failure
from continuity.messaging.envelope import MAX_EVENT_BYTES, readable
from continuity.messaging.record import Record

State: TypeAlias = Literal["waiting", "dead"]
WAITING: State = "waiting"
DEAD: State = "dead"

HEADERS_LIMIT_BYTES = 64_000
KEY_LIMIT_BYTES = 4_000
"""What a record of ours may have; a longer one is no event, and its dead letter must still fit the broker."""


@dataclass(frozen=True)
class HeldEvent:
    """``sequence`` orders the events of a lane.

    ``due_time`` (seconds since the epoch) is when there is something to do, None for a dead letter that everybody has
    been told of. ``attempts`` counts the failures that the event is blamed for, ``tries`` all of them. ``failure`` is
    None for one that only waits behind another. ``cut`` says that the record was too long to be kept whole.
    """

    id: str
    state: State
    record: Record
    lane: str
    sequence: int
    hold_time: float
    due_time: float | None
    attempts: int = 0
    tries: int = 0
    tried_time: float | None = None
    failure: Failure | None = None
    stack: str = ""
    cut: bool = False
    told: bool = False
    claim: str = ""

    @property
    def said(self) -> dict[str, str]:
        """The record's headers as text."""
        return readable(self.record.headers)


def keepable(record: Record) -> tuple[Record, bool]:
    """Return the record as the store can keep it, and whether something was cut off."""
    headers = _within(record.headers, HEADERS_LIMIT_BYTES)
    key = None if record.key is None else record.key[:KEY_LIMIT_BYTES]
    kept = replace(record, key=key, headers=headers, value=record.value[:MAX_EVENT_BYTES])
    return kept, kept != record


def to_body(held: HeldEvent) -> dict[str, Any]:
    """Return the document's body. Bytes are base64."""
    record = held.record
    written = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": _text(record.key),
        "headers": [[name, _text(value)] for name, value in record.headers],
        "value": _text(record.value),
    }
    failure = None if held.failure is None else {**asdict(held.failure), "metadata": dict(held.failure.metadata)}
    fields = {name: getattr(held, name) for name in _PLAIN}
    return {**fields, "record": written, "failure": failure}


def from_body(id: str, body: Mapping[str, Any]) -> HeldEvent:
    """Return what ``to_body`` wrote."""
    written = body["record"]
    record = Record(
        written["topic"],
        written["partition"],
        written["offset"],
        _bytes(written["key"]),
        tuple((name, _bytes(value)) for name, value in written["headers"]),
        _bytes(written["value"]) or b"",
    )
    failure = None if body["failure"] is None else Failure(**body["failure"])
    # An older version has not written every field that has a default.
    plain = {name: body[name] for name in _PLAIN if name in body}
    return HeldEvent(id=id, record=record, failure=failure, **plain)


_PLAIN = (
    "state",
    "lane",
    "sequence",
    "hold_time",
    "due_time",
    "attempts",
    "tries",
    "tried_time",
    "stack",
    "cut",
    "told",
    "claim",
)


def _within(headers: tuple[tuple[str, bytes | None], ...], limit_bytes: int) -> tuple[tuple[str, bytes | None], ...]:
    """Return the first headers that fit."""
    kept: list[tuple[str, bytes | None]] = []
    for name, value in headers:
        limit_bytes -= len(name.encode()) + len(value or b"")
        if limit_bytes < 0:
            break
        kept.append((name, value))
    return tuple(kept)


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
