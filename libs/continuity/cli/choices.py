"""Enums of the protos as words on the command line."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from continuity.kernel.errors import InvalidValue
from continuity.wire.conversion import number, words

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper as Enum

V = TypeVar("V", bound=int)


def choice(enum: EnumDescriptor, *names: str, help: str) -> Any:
    """Return a typer option that takes a word of the enum, or nothing; it completes, and suggests the nearest."""
    known = words(enum)

    def check(given: str) -> str:
        if given and given not in known:
            near = difflib.get_close_matches(given, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise typer.BadParameter(f"{given!r} is none of {', '.join(known)}{hint}")
        return given

    def complete(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return typer.Option(
        *names, callback=check, autocompletion=complete, metavar="|".join(known), help=help, show_default=False
    )


def value(enum: Enum[V], word: str | None) -> V:
    """Return the enum value of a word; None and the empty word are unspecified. Raises ``InvalidValue``."""
    descriptor: EnumDescriptor = enum.DESCRIPTOR
    try:
        return enum.Value(descriptor.values_by_number[number(descriptor, word or "")].name)
    except KeyError:
        limit = f"this version knows {', '.join(words(descriptor))}"
        raise InvalidValue(field=descriptor.name, value=word, limit=limit) from None
