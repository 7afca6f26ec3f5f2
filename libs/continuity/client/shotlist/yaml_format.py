"""YAML as tokens with places: one document of plain values, without anchors, aliases and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from continuity.client.shotlist.source import START, Place, Unreadable
from continuity.client.shotlist.tree import Mark, Token, Tree, build_tree, plain

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LEADING_TAB = re.compile(r" *\t")


def read_yaml(text: str) -> Tree:
    """Return the tree of ``text``. Raises ``Unreadable``."""
    tree = build_tree(_tokens(text))
    if not tree.values:
        raise Unreadable("the file is empty")
    return tree


def _tokens(text: str) -> Iterator[Token]:
    documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            place = _place(event.start_mark)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise Unreadable("a shot list is one document; a second one starts here", place)
            if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                yield _token(event, place)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text) from error


def _token(event: yaml.Event, place: Place) -> Token:
    if getattr(event, "anchor", None):
        raise Unreadable("anchors and aliases are not accepted; write the values out", place)
    if getattr(event, "tag", None):
        raise Unreadable("tags (!…) are not accepted; write plain values", place)
    if isinstance(event, yaml.MappingStartEvent):
        return Token(Mark.MAPPING, place)
    if isinstance(event, yaml.SequenceStartEvent):
        return Token(Mark.SEQUENCE, place)
    if isinstance(event, yaml.ScalarEvent):
        return Token(Mark.VALUE, place, event.value if event.style else plain(event.value), event.value)
    return Token(Mark.END, place)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    place = _place(error.problem_mark or error.context_mark)
    written = text.splitlines()[place.line - 1 : place.line]
    if written and (tab := _LEADING_TAB.match(written[0])):
        return Unreadable("YAML is indented with spaces, this is a tab", Place(place.line, tab.end()))
    said = ", ".join(filter(None, (error.context, error.problem)))
    return Unreadable(f"this is not YAML: {said}", place)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else START
