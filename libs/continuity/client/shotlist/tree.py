"""The values of a document together with where each stands, whatever it was written in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from continuity.client.shotlist.problems import Flaw, Steps, shown
from continuity.client.shotlist.source import MAX_VALUES, NOT_TEXT, START, Place, Unreadable, too_many

MAX_DEPTH = 16
Scalar = str | int | float | bool | None

_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Mark(Enum):
    """What a token is."""

    MAPPING = "mapping"
    SEQUENCE = "sequence"
    END = "end"
    VALUE = "value"


class Token(NamedTuple):
    """A piece of a document; ``text`` is the value as written, which is what it is as a key."""

    mark: Mark
    place: Place
    value: Scalar = None
    text: str = ""


@dataclass
class Tree:
    """``data`` is of dicts, lists and scalars; a key without a value (null) counts as left out."""

    data: Any = None
    values: dict[Steps, Place] = field(default_factory=dict)
    keys: dict[Steps, Place] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)

    def place(self, flaw: Flaw) -> Place:
        """Return where ``flaw`` shows: at its key or value, else at what would hold it."""
        steps = flaw.steps
        if flaw.place or (flaw.on_key and steps in self.keys):
            return flaw.place or self.keys[steps]
        while steps and steps not in self.values:
            steps = steps[:-1]
        return self.values.get(steps, START)


def plain(text: str) -> Scalar:
    """Return what an unquoted ``text`` means: YAML 1.2's core rules, so that ``no``, ``12:30`` and dates stay text."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def build_tree(tokens: Iterable[Token]) -> Tree:
    """Return the tree of ``tokens``. Raises ``Unreadable`` where they nest too deeply or are too many."""
    builder = _Builder()
    for count, token in enumerate(tokens):
        if count >= MAX_VALUES:
            raise too_many(token.place)
        builder.take(token)
    return builder.tree


@dataclass
class _Open:
    """A mapping or sequence that has not ended; ``key`` is the one that waits for its value."""

    held: dict[str, Any] | list[Any]
    steps: Steps
    key: str | None = None
    seen: dict[str, Place] = field(default_factory=dict)


class _Builder:
    def __init__(self) -> None:
        self.tree = Tree()
        self._open: list[_Open] = []

    def take(self, token: Token) -> None:
        if token.mark is Mark.END:
            self._open.pop()
        elif self._open and isinstance(self._open[-1].held, dict) and self._open[-1].key is None:
            self._take_key(self._open[-1], token)
        else:
            self._take_value(token)

    def _take_key(self, parent: _Open, token: Token) -> None:
        if token.mark is not Mark.VALUE:
            raise Unreadable("a key is plain text", token.place)
        parent.key = token.text
        steps = (*parent.steps, token.text)
        self.tree.keys[steps] = token.place
        if (first := parent.seen.setdefault(token.text, token.place)) != token.place:
            message = f"the key {shown(token.text)} stands here again, first at line {first.line}"
            self.tree.flaws.append(Flaw(steps, message, place=token.place))
        self._check_text(steps, token.text, on_key=True)

    def _take_value(self, token: Token) -> None:
        value: Any = {} if token.mark is Mark.MAPPING else [] if token.mark is Mark.SEQUENCE else token.value
        steps = self._put(value)
        self.tree.values[steps] = token.place
        if token.mark is Mark.VALUE:
            self._check_text(steps, value)
        elif len(self._open) < MAX_DEPTH:
            self._open.append(_Open(value, steps))
        else:
            raise Unreadable(f"this nests deeper than {MAX_DEPTH} levels", token.place)

    def _put(self, value: Any) -> Steps:
        if not self._open:
            self.tree.data = value
            return ()
        parent = self._open[-1]
        if isinstance(parent.held, list):
            parent.held.append(value)
            return (*parent.steps, len(parent.held) - 1)
        key, parent.key = parent.key or "", None
        if value is not None:
            parent.held[key] = value
        return (*parent.steps, key)

    def _check_text(self, steps: Steps, value: Scalar, *, on_key: bool = False) -> None:
        if isinstance(value, str) and (stray := NOT_TEXT.search(value)):
            self.tree.flaws.append(Flaw(steps, f"the character U+{ord(stray[0]):04X} is not text", on_key=on_key))
