"""Protobuf messages as JSON schemas (draft 07) of their JSON form, with the comments of the proto as descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

Schema: TypeAlias = dict[str, Any]

_MESSAGES, _ENUMS, _FIELDS, _NESTED, _VALUES = 4, 5, 2, 3, 2
"""Field numbers in descriptor.proto, of which the paths to comments consist."""
_SCALARS: dict[int, Schema] = {
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptorProto.TYPE_INT32: {
        "type": "integer",
        "format": "int32",
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    },
    FieldDescriptorProto.TYPE_UINT32: {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptorProto.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptorProto.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WELL_KNOWN: dict[str, Schema] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"},
}


class ProtoSchemas:
    """The schemas of all our messages and enums, from descriptors that were written with their source info."""

    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self._made: dict[str, Schema] = {}
        self._maps: dict[str, DescriptorProto] = {}
        ours = [file for file in descriptors.file if file.package.startswith("continuity.")]
        for file in ours:
            self._maps |= dict(_map_entries(f".{file.package}", file.message_type))
        for file in ours:
            self._read(file)

    def of(self, names: Iterable[str]) -> dict[str, Schema]:
        """Return the schemas of these messages (by full name) and of all that they refer to, ordered by name."""
        found: dict[str, Schema] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._made[name]
                waiting += _referred(found[name])
        return dict(sorted(found.items()))

    def _read(self, file: FileDescriptorProto) -> None:
        comments = {
            tuple(each.path): _text(each.leading_comments or each.trailing_comments)
            for each in file.source_code_info.location
        }
        for number, enum in enumerate(file.enum_type):
            self._made[f"{file.package}.{enum.name}"] = _enum(enum, (_ENUMS, number), comments)
        for number, message in enumerate(file.message_type):
            self._read_message(message, file.package, (_MESSAGES, number), comments)

    def _read_message(
        self, message: DescriptorProto, scope: str, path: tuple[int, ...], comments: dict[tuple[int, ...], str]
    ) -> None:
        name = f"{scope}.{message.name}"
        for number, nested in enumerate(message.nested_type):
            self._read_message(nested, name, (*path, _NESTED, number), comments)
        properties = {
            field.name: _described(self._field(field), comments.get((*path, _FIELDS, number), ""))
            for number, field in enumerate(message.field)
        }
        about = {"description": text} if (text := comments.get(path, "")) else {}
        self._made[name] = {"type": "object", **about, "properties": properties, "additionalProperties": False}

    def _field(self, field: FieldDescriptorProto) -> Schema:
        if field.type_name in self._maps:
            value = self._maps[field.type_name].field[1]
            return {"type": "object", "additionalProperties": _value(value)}
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return {"type": "array", "items": _value(field)}
        return _value(field)


def reference(name: str) -> Schema:
    """Return a reference to the schema of a message or enum."""
    return {"$ref": f"#/components/schemas/{name}"}


def _value(field: FieldDescriptorProto) -> Schema:
    if field.type_name:
        return dict(_WELL_KNOWN.get(field.type_name) or reference(field.type_name.removeprefix(".")))
    return dict(_SCALARS[field.type])


def _described(schema: Schema, text: str) -> Schema:
    """Beside a reference nothing else counts, so one that is described is wrapped."""
    if not text:
        return schema
    return {"description": text, "allOf": [schema]} if "$ref" in schema else {"description": text, **schema}


def _enum(enum: EnumDescriptorProto, path: tuple[int, ...], comments: dict[tuple[int, ...], str]) -> Schema:
    told = [
        f"{value.name}: {comments[(*path, _VALUES, number)]}"
        for number, value in enumerate(enum.value)
        if comments.get((*path, _VALUES, number))
    ]
    text = "\n".join(filter(None, [comments.get(path, ""), *told]))
    return _described({"type": "string", "enum": [value.name for value in enum.value]}, text)


def _map_entries(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{scope}.{message.name}"
        if message.options.map_entry:
            yield name, message
        yield from _map_entries(name, message.nested_type)


def _referred(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _referred(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _referred(value)


def _text(comment: str) -> str:
    return " ".join(comment.split())
