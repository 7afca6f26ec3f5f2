"""Protobuf messages and frozen dataclasses, converted by field name.

Enums become the words that people write (``SHOT_TYPE_CLOSE_UP`` ↔ ``close-up``, unspecified ↔ the empty string),
timestamps become seconds since the epoch, durations seconds, and a dataclass field of type ``str`` may hold a whole
message, serialized and in base64, for what is only passed on. Fields that only one side has are left alone.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

FieldDescriptor: TypeAlias = Any  # two C implementations, one interface
Converter: TypeAlias = Callable[[Any], Any]
M = TypeVar("M", bound=Message)
T = TypeVar("T")


def word(enum: EnumDescriptor, number: int) -> str:
    """Return an enum value as a word: ``SHOT_TYPE_CLOSE_UP`` is ``close-up``, the zero value is empty."""
    return _words(enum).get(number, "")


def number(enum: EnumDescriptor, written: str) -> int:
    """Return the enum value of a word. Raises ``KeyError`` when the enum has no such word."""
    return _numbers(enum)[written]


def words(enum: EnumDescriptor) -> tuple[str, ...]:
    """Return every word of an enum."""
    return tuple(filter(None, _words(enum).values()))


def to_message(value: object, message: type[M]) -> M:
    """Return the message whose fields are those of the dataclass ``value``."""
    return message(**_fields(value, message))


def from_message(message: Message, target: type[T]) -> T:
    """Return the dataclass ``target`` whose fields are those of the message; what it lacks keeps its default."""
    return target(
        **{
            name: read(getattr(message, name))
            for name, optional, read in _readers(type(message), target)  # type: ignore[arg-type]
            if not optional or message.HasField(name)
        }
    )


def _fields(value: object, message: type[Message]) -> dict[str, Any]:
    """Return what a message is made of; a message within it is a dict, which protobuf fills in place and not twice."""
    fields = _writers(type(value), message)  # type: ignore[arg-type]
    return {name: write(item) for name, write in fields if (item := getattr(value, name)) is not None}


@cache
def _writers(source: type, message: type[Message]) -> tuple[tuple[str, Converter], ...]:
    """Return how each field that both have gets into the message."""
    held = {field.name for field in dataclasses.fields(source)} | set(dir(source))
    return tuple((field.name, _writer(field)) for field in message.DESCRIPTOR.fields if field.name in held)


def _writer(field: FieldDescriptor) -> Converter:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return _same
    write = _wire(field)
    if field.is_repeated and write is not _same:
        return lambda items: [write(item) for item in items]
    return write


def _wire(field: FieldDescriptor) -> Converter:
    if field.enum_type:
        return partial(number, field.enum_type)
    if field.message_type is None:
        return _same
    if field.message_type in (Timestamp.DESCRIPTOR, Duration.DESCRIPTOR):
        return _seconds
    concrete = GetMessageClass(field.message_type)
    return lambda item: opened(item, concrete) if isinstance(item, str) else _fields(item, concrete)


def _seconds(time_s: float) -> dict[str, int]:
    seconds = math.floor(time_s)  # nanos count forwards, before the epoch too
    return {"seconds": seconds, "nanos": min(int((time_s - seconds) * 1e9), 999_999_999)}


@cache
def _readers(message: type[Message], target: Any) -> tuple[tuple[str, bool, Converter], ...]:
    """Return for each field that both have whether it may be absent, and how it is read."""
    present = message.DESCRIPTOR.fields_by_name
    hints = typing.get_type_hints(target)
    shared = [field.name for field in dataclasses.fields(target) if field.name in present]
    return tuple((name, _may_be_absent(present[name]), _reader(present[name], hints[name])) for name in shared)


def _may_be_absent(field: FieldDescriptor) -> bool:
    return bool(field.has_presence) and not field.is_repeated


def _reader(field: FieldDescriptor, hint: Any) -> Converter:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict
    if not field.is_repeated:
        return _read(field, _bare(hint))
    read = _read(field, next(iter(typing.get_args(hint)), object))
    return tuple if read is _same else lambda items: tuple(read(item) for item in items)


def _read(field: FieldDescriptor, hint: Any) -> Converter:
    if field.enum_type:
        return partial(word, field.enum_type)
    if field.message_type is None:
        return _same
    if field.message_type in (Timestamp.DESCRIPTOR, Duration.DESCRIPTOR):
        return lambda time: time.seconds + time.nanos / 1e9
    if hint is str:
        return closed
    return lambda item: from_message(item, hint)


def _same(item: Any) -> Any:
    return item


def _bare(hint: Any) -> Any:
    """Return ``X`` for ``X | None``."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


@cache
def _words(enum: EnumDescriptor) -> Mapping[int, str]:
    """Return the words of an enum whose zero value is ``SHOT_TYPE_UNSPECIFIED``, without its prefix ``SHOT_TYPE_``."""
    zero: str = enum.values_by_number[0].name
    prefix = zero.removesuffix("UNSPECIFIED")
    named = {value.number: value.name.removeprefix(prefix).lower().replace("_", "-") for value in enum.values}
    return named | {0: ""}


@cache
def _numbers(enum: EnumDescriptor) -> Mapping[str, int]:
    return {written: number for number, written in _words(enum).items()}


def opened(content: str, message: type[M]) -> M:
    """Return the message that a dataclass holds in base64."""
    return message.FromString(base64.b64decode(content))


def closed(message: Message) -> str:
    """Return a message as a dataclass holds it: serialized, in base64."""
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()
