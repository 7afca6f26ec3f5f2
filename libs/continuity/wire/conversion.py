"""Protobuf messages and frozen dataclasses, converted by field name.

Enums become the words that people write (``SHOT_TYPE_CLOSE_UP`` ↔ ``close-up``, unspecified ↔ the empty string),
timestamps become seconds since the epoch, and a dataclass field of type ``str`` may hold a whole message,
serialized and in base64, for what is only passed on. Fields that only one side has are left alone.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import types
import typing
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

FieldDescriptor: TypeAlias = Any  # two C implementations, one interface
M = TypeVar("M", bound=Message)
T = TypeVar("T")


def word(enum: EnumDescriptor, number: int) -> str:
    """Return an enum value as a word: ``SHOT_TYPE_CLOSE_UP`` is ``close-up``, the zero value is empty."""
    value = enum.values_by_number.get(number)
    if value is None or number == 0:
        return ""
    name: str = value.name
    return name.removeprefix(_prefix(enum)).lower().replace("_", "-")


def number(enum: EnumDescriptor, written: str) -> int:
    """Return the enum value of a word. Raises ``KeyError`` when the enum has no such word."""
    if not written:
        return 0
    return int(enum.values_by_name[_prefix(enum) + written.upper().replace("-", "_")].number)


def words(enum: EnumDescriptor) -> tuple[str, ...]:
    """Return every word of an enum."""
    return tuple(word(enum, value.number) for value in enum.values if value.number)


def to_message(value: object, message: type[M]) -> M:
    """Return the message whose fields are those of the dataclass ``value``."""
    made = message()
    for field in message.DESCRIPTOR.fields:
        item = getattr(value, field.name, None)
        if item is not None:
            _put(made, field, item)
    return made


def from_message(message: Message, target: type[T]) -> T:
    """Return the dataclass ``target`` whose fields are those of the message; what it lacks keeps its default."""
    hints = _hints(target)  # type: ignore[arg-type]
    present = message.DESCRIPTOR.fields_by_name
    values = {name: _get(message, present[name], hint) for name, hint in hints.items() if name in present}
    return target(**{name: value for name, value in values.items() if value is not dataclasses.MISSING})


def _put(made: Message, field: FieldDescriptor, item: Any) -> None:
    if field.message_type and field.message_type.GetOptions().map_entry:
        getattr(made, field.name).update(item)
    elif field.is_repeated:
        getattr(made, field.name).extend(_wire(field, each) for each in item)
    elif field.message_type:
        getattr(made, field.name).CopyFrom(_wire(field, item))
    else:
        setattr(made, field.name, _wire(field, item))


def _wire(field: FieldDescriptor, item: Any) -> Any:
    if field.enum_type:
        return number(field.enum_type, item)
    if field.message_type is None:
        return item
    if field.message_type is Timestamp.DESCRIPTOR:
        return _timestamp(item)
    concrete = GetMessageClass(field.message_type)
    return opened(item, concrete) if isinstance(item, str) else to_message(item, concrete)


def _timestamp(time_s: float) -> Timestamp:
    seconds = math.floor(time_s)  # nanos count forwards, before the epoch too
    return Timestamp(seconds=seconds, nanos=min(int((time_s - seconds) * 1e9), 999_999_999))


def _get(message: Message, field: FieldDescriptor, hint: Any) -> Any:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict(getattr(message, field.name))
    if field.is_repeated:
        element = next(iter(typing.get_args(hint)), object)
        items: Iterable[Any] = getattr(message, field.name)
        return tuple(_read(field, item, element) for item in items)
    if field.has_presence and not message.HasField(field.name):
        return dataclasses.MISSING
    return _read(field, getattr(message, field.name), _bare(hint))


def _read(field: FieldDescriptor, item: Any, hint: Any) -> Any:
    if field.enum_type:
        return word(field.enum_type, item)
    if field.message_type is None:
        return item
    if field.message_type is Timestamp.DESCRIPTOR:
        return item.seconds + item.nanos / 1e9
    if hint is str:
        return closed(item)
    return from_message(item, hint)


def _bare(hint: Any) -> Any:
    """Return ``X`` for ``X | None``."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


@cache
def _hints(target: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(target)
    return {field.name: hints[field.name] for field in dataclasses.fields(target)}


@cache
def _prefix(enum: EnumDescriptor) -> str:
    """``SHOT_TYPE_`` for an enum whose zero value is ``SHOT_TYPE_UNSPECIFIED``."""
    zero: str = enum.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED")


def opened(content: str, message: type[M]) -> M:
    """Return the message that a dataclass holds in base64."""
    return message.FromString(base64.b64decode(content))


def closed(message: Message) -> str:
    """Return a message as a dataclass holds it: serialized, in base64."""
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()
