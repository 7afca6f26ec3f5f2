"""JSON as tokens with places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from continuity.client.shotlist.source import Lines, Place, Unreadable
from continuity.client.shotlist.tree import Mark, Token, Tree, build_tree, plain

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+')
_OPENS = {"{": Mark.MAPPING, "[": Mark.SEQUENCE}


def read_json(text: str) -> Tree:
    """Return the tree of ``text``. Raises ``Unreadable``."""
    try:
        json.loads(text, parse_int=str)
    except json.JSONDecodeError as error:
        message = f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise Unreadable(message, Place(error.lineno, error.colno)) from error
    except RecursionError as error:
        raise Unreadable("this nests too deeply") from error
    return build_tree(_tokens(text))


def _tokens(valid: str) -> Iterator[Token]:
    lines = Lines(valid)
    for found in _TOKEN.finditer(valid):
        written, place = found[0], lines.place(found.start())
        if written in _OPENS:
            yield Token(_OPENS[written], place)
        elif written in "}]":
            yield Token(Mark.END, place)
        elif written.startswith('"'):
            string = json.loads(written)
            yield Token(Mark.VALUE, place, string, string)
        else:
            yield Token(Mark.VALUE, place, plain(written), written)
