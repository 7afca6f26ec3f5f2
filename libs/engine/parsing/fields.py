"""A JSON object with typed access to its fields; every refusal names field, value and limit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from engine.errors import Refused

__all__ = ["Fields", "object_of"]

_LONGEST_KEY = 80
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +()-]{0,199}")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def object_of(text: bytes, most_bytes: int) -> dict[str, Any]:
    """Read one JSON object: UTF-8, no key twice. Raises ``Refused`` for ``spec``.

    NaN and Infinity are read as Python does: no field takes them, and the refusal can name it.
    """
    if len(text) > most_bytes:
        raise Refused("spec", f"{len(text)} bytes", f"at most {most_bytes} bytes")
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise Refused("spec", text[:40], f"must be JSON in UTF-8 ({error})") from error
    if not isinstance(value, dict):
        raise Refused("spec", value, "must be a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise Refused(_short(key), value, "the same field may not stand twice in one object")
        values[key] = value
    return values


class Fields:
    """The fields of one object; ``path`` prefixes their names in errors. Null counts as absent."""

    def __init__(self, values: Any, path: str, known: Collection[str]) -> None:
        """Raises ``Refused`` for what is no object, and for a field that is not known, naming the nearest one."""
        if not isinstance(values, dict):
            raise Refused(path.rstrip("."), values, "must be an object")
        self._values = {name: value for name, value in values.items() if value is not None}
        self._path = path
        for name in values:
            if name not in known:
                raise Refused(path + _short(name), values[name], f"there is no such field; {_nearest(name, known)}")

    def given(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return name in self._values

    def whole(self, name: str, default: int, low: int, high: int, step: int = 1) -> int:
        """Return a whole number within limits, both of them allowed."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high or value % step:
            multiple = f", a multiple of {step}" if step > 1 else ""
            raise Refused(self._path + name, value, f"a whole number from {low} to {high}{multiple}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a finite number within limits, both of them allowed."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise Refused(self._path + name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def positive(self, name: str, most: float) -> float | None:
        """Return a number above 0, None where it is absent."""
        value = self.number(name, math.inf, 0.0, most) if self.given(name) else None
        if value == 0:
            raise Refused(self._path + name, value, f"a number above 0, at most {most:g}")
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value, false where it is absent."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise Refused(self._path + name, value, "true or false")
        return value

    def text(self, name: str, most: int, default: str | None = None) -> str:
        """Return a text; without ``default`` it has to be there and say something."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise Refused(self._path + name, value, f"a text of 1 to {most} characters")
        if len(value) > most:
            raise Refused(self._path + name, f"{len(value)} characters", f"at most {most} characters")
        if found := _NOT_TEXT.search(value):
            raise Refused(self._path + name, found[0], "Unicode text without NUL and lone surrogates")
        return value

    def name(self, name: str, default: str | None = None) -> str:
        """Return the name of something in a catalogue; never a path."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value:
            raise Refused(self._path + name, value, "a name of letters, digits and . _ + - ( ), at most 200 characters")
        return value

    def texts(self, name: str, most: int, most_characters: int) -> dict[str, str]:
        """Return an object of texts by texts."""
        values = self._values.get(name, {})
        if not isinstance(values, dict) or len(values) > most:
            raise Refused(self._path + name, values, f"an object of at most {most} texts")
        for key in values:
            if len(key) > _LONGEST_KEY or _NOT_TEXT.search(key):
                limit = f"names of at most {_LONGEST_KEY} characters, without NUL and lone surrogates"
                raise Refused(self._path + name, _short(key), limit)
        texts = Fields(values, f"{self._path}{name}.", values)
        return {key: texts.text(key, most_characters, "") for key in values}

    def child(self, name: str, known: Collection[str]) -> Fields:
        """Return the fields of an object within this one."""
        return Fields(self._values.get(name), f"{self._path}{name}.", known)

    def children(self, name: str, most: int, known: Collection[str]) -> list[Fields]:
        """Return the fields of each object of a list within this one."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or len(values) > most:
            raise Refused(self._path + name, values, f"a list of at most {most}")
        return [Fields(value, f"{self._path}{name}[{i}].", known) for i, value in enumerate(values)]


def _nearest(value: Any, words: Collection[str]) -> str:
    near = get_close_matches(str(value), list(words), n=1, cutoff=0.5)
    return (f"did you mean {near[0]!r}? " if near else "") + f"it is one of {', '.join(words)}"


def _short(key: str) -> str:
    """Make a name that somebody else has chosen fit for an error."""
    return ascii(key[:_LONGEST_KEY])[1:-1]
