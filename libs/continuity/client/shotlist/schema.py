"""The published JSON Schema, and what of a document does not fit it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from continuity.client.shotlist.problems import MAX_FLAWS, Flaw, Steps, nearest, shown

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_LIMITS = {
    "minimum": "{limit} is the least",
    "maximum": "{limit} is the most",
    "exclusiveMinimum": "it must be above {limit}",
    "minLength": "it must not be empty",
    "maxLength": "{limit} characters are the most, these are {length}",
    "minItems": "the list must not be empty",
    "maxItems": "{limit} are the most, these are {length}",
    "maxProperties": "{limit} are the most, these are {length}",
}


def structural_flaws(data: Any) -> Iterator[Flaw]:
    """Yield what in ``data`` does not fit the schema."""
    for error in islice(_validator().iter_errors(data), MAX_FLAWS):
        yield from _flaws(error, tuple(error.absolute_path))


def properties(definition: str) -> Mapping[str, Any]:
    """Return the described properties of a ``$defs`` entry."""
    described: Mapping[str, Any] = schema()["$defs"][definition]["properties"]
    return described


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of shot lists (draft 2020-12)."""
    described: Mapping[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text("utf-8"))
    return described


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def _flaws(error: ValidationError, steps: Steps) -> Iterator[Flaw]:
    rule: Any = error.validator
    limit: Any = error.validator_value
    found: Any = error.instance
    described: Any = error.schema
    if rule == "additionalProperties":
        known = described["properties"]
        for key in [key for key in found if key not in known]:
            near = nearest(key, known)
            yield Flaw((*steps, key), f"unknown key {shown(key)}", None if near in found else near, on_key=True)
    elif rule == "required":
        for key in [key for key in limit if key not in found]:
            yield Flaw((*steps, key), f"{key!r} is missing")
    elif rule == "type":
        yield Flaw(steps, f"expected {_expected(limit)}, found {_kind_of(found)}")
    elif rule in _LIMITS:
        length = len(found) if hasattr(found, "__len__") else 0
        yield Flaw(steps, f"{shown(found)}: {_LIMITS[rule].format(limit=limit, length=length)}")
    elif rule == "pattern":
        yield Flaw(steps, f"{shown(found)} does not fit: {described['description']}")
    else:  # the one ``false`` in the schema; its error stops short of the key
        yield Flaw((*steps, "name"), "this does not belong here: its key is the name", on_key=True)


def _expected(limit: str | list[str]) -> str:
    return " or ".join(_TYPES[name] for name in ([limit] if isinstance(limit, str) else limit))


def _kind_of(value: Any) -> str:
    if isinstance(value, dict | list):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    kind = "the number " if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return "nothing" if value is None else f"{kind}{shown(value)}"
