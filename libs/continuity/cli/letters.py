"""Dead letters as people and programs read them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from continuity.api.operations.v1.dead_letter_pb2 import DeadLetter, DeadLetterContent
from continuity.cli.documents import document
from continuity.client.dead_letters import opened

MAX_SHOWN_BYTES = 64


def written(consumer: str, id: str) -> str:
    """Return the id as people give it: with the service that keeps the letter."""
    return f"{consumer}/{id}"


def harmless(text: str) -> str:
    """Return text from a record without what would steer a terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def row(letter: DeadLetter) -> tuple[str, ...]:
    """Return the letter as a line of a list."""
    shown = (
        written(letter.consumer, letter.id),
        letter.event_type or letter.topic,
        letter.key,
        letter.project,
        letter.failure.reason,
        letter.hold_time.ToJsonString(),
    )
    return tuple(map(harmless, shown))


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """Return the letter as programs read it."""
    return {**document(letter), "id": written(letter.consumer, letter.id)}


def content_document(letter: DeadLetter, content: DeadLetterContent) -> dict[str, Any]:
    """Return the content with the payload as JSON where it is an event that we know, else in base64."""
    event = opened(letter.event_type, content.payload)
    payload = {"payload_base64": b64encode(content.payload).decode()} if event is None else {"payload": document(event)}
    return {"headers": dict(content.headers), **payload, "cut": content.cut, "stack": content.stack}


def described(letter: DeadLetter, content: DeadLetterContent) -> dict[str, str]:
    """Return what people are shown, the stack aside."""
    shown = {
        "id": written(letter.consumer, letter.id),
        "event": f"{letter.event_type} {letter.event_id}".strip(),
        "record": f"{letter.topic}, partition {letter.partition}, offset {letter.offset}",
        "key": letter.key,
        "project": letter.project,
        "reason": letter.failure.reason,
        "message": letter.failure.message,
        "attempts": str(letter.attempts),
        "since": letter.hold_time.ToJsonString(),
        **dict(sorted(content.headers.items())),
        "payload": _payload(letter, content),
    }
    return {harmless(name): harmless(value) for name, value in shown.items()}


def _payload(letter: DeadLetter, content: DeadLetterContent) -> str:
    event = opened(letter.event_type, content.payload)
    if event is not None:
        return str(event).strip()
    begin = content.payload[:MAX_SHOWN_BYTES]
    return f"{len(content.payload)} bytes{', cut' if content.cut else ''}: {begin.hex(' ')}" if begin else ""
