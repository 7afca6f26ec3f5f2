"""What a dead letter says besides the record that it was, within what a broker takes."""

from __future__ import annotations

from continuity.kernel.text import cut_to_bytes
from continuity.messaging.envelope import ATTRIBUTE_PREFIX, MAX_RECORD_BYTES, readable
from continuity.messaging.held_event import HeldEvent

PREFIX = "dead-"
FRAME_BYTES = 1_000
"""What the format of a record and the client library add."""
HEADER_FRAME_BYTES = 10
MESSAGE_BYTES = 4_000
STACK_BYTES = 16_000
NAME_BYTES = 100
VALUE_BYTES = 1_000


def dead_headers(held: HeldEvent, group: str) -> dict[str, str]:
    """Return the headers of a dead letter: the event's own, then the reason and the stack.

    Bytes that are no text grow when they are told as text, so the own ones are cut to the room that the body leaves;
    ``dead-headers-cut`` says so. The body is not touched.
    """
    told = {
        "dead-id": held.id,
        "dead-reason": held.failure.reason if held.failure else "",
        "dead-message": cut_to_bytes(held.failure.message, MESSAGE_BYTES) if held.failure else "",
        "dead-group": group,
        "dead-stack": cut_to_bytes(held.stack, STACK_BYTES),
        **({"dead-cut": "true"} if held.cut else {}),
    }
    record = held.record
    said = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    room = MAX_RECORD_BYTES - FRAME_BYTES - len(record.value) - len(record.key or b"")
    own = _fitting(readable(said), room - sum(_size(name, value) for name, value in told.items()))
    whole = len(own) == len(said) and own == readable(said)
    return own | told | ({} if whole else {"dead-headers-cut": "true"})


def _fitting(headers: dict[str, str], room: int) -> dict[str, str]:
    """Return the headers that fit into so many bytes, each of them cut where it is long; the envelope's come first."""
    kept: dict[str, str] = {}
    for name, value in sorted(headers.items(), key=lambda header: not header[0].startswith(ATTRIBUTE_PREFIX)):
        short_name, short = cut_to_bytes(name, NAME_BYTES), cut_to_bytes(value, VALUE_BYTES)
        room -= _size(short_name, short)
        if room < 0:
            break
        kept[short_name] = short
    return kept


def _size(name: str, value: str) -> int:
    return len(name.encode()) + len(value.encode()) + HEADER_FRAME_BYTES
