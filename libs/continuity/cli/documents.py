"""Messages as the JSON that people and programs read: words for enums, ISO 8601 for times, null for what is absent."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from continuity.wire.conversion import word


def document(message: Message) -> dict[str, Any]:
    """Return every field of the message by its name; bytes are left out."""
    fields = [field for field in message.DESCRIPTOR.fields if field.type != field.TYPE_BYTES]
    return {field.name: _value(message, field) for field in fields}


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_item(field, each) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _item(field, value)


def _item(field: Any, value: Any) -> Any:
    if field.enum_type:
        return word(field.enum_type, value) or None
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    return document(value) if isinstance(value, Message) else value
