"""The rules that a proto states for its fields, checked on a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import protovalidate
from google.protobuf.message import Message

MAX_TEXT = 300
"""The longest text that is told as it stands."""


@dataclass(frozen=True)
class Violation:
    """``field`` is a path such as ``shots[3].scene_id``, empty for a rule about the whole message.

    ``value`` is what stands there; of bytes and long texts it is the size. ``outline`` is of all that is no number only
    the size: for logs, in which nothing may stand that users wrote.
    """

    field: str
    value: str
    limit: str
    outline: str


def violations(message: Message) -> Sequence[Violation]:
    """Return every rule that a message breaks, those of the messages in it included."""
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as error:
        return [_violation(each) for each in error.violations]
    return ()


def _violation(broken: Any) -> Violation:
    value = broken.field_value
    return Violation(_path(broken.proto.field), _told(value), broken.proto.message, _outline(value))


def _path(field: Any) -> str:
    if field is None:
        return ""
    parts: list[str] = []
    for element in field.elements:
        subscript = element.subscript
        index = f"[{subscript.value}]" if subscript is not None else ""
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)


def _told(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"{len(value)} characters" if isinstance(value, str) and len(value) > MAX_TEXT else str(value)


def _outline(value: object) -> str:
    if isinstance(value, str | bytes):
        return f"{len(value)} {'characters' if isinstance(value, str) else 'bytes'}"
    return str(value) if isinstance(value, bool | int | float) else type(value).__name__
