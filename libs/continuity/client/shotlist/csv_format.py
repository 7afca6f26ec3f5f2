"""CSV as cells with places (RFC 4180; parted by comma, semicolon or tab, whichever the header uses)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from continuity.client.shotlist.source import MAX_VALUES, Lines, Place, Unreadable, too_many


class Cell(NamedTuple):
    """The text of a cell, without the space around it, and where it starts."""

    text: str
    place: Place


def read_rows(text: str) -> Iterator[list[Cell]]:
    """Yield the rows of ``text`` that hold anything. Raises ``Unreadable`` where quotes do not pair."""
    header = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    space = "[ ]*" if delimiter == "\t" else r"[ \t]*"
    cell = re.compile(rf'{space}(?:"([^"]*(?:""[^"]*)*)"{space}|(?!")([^{delimiter}\r\n]*))({delimiter}|\r\n|\n|\r|\Z)')
    lines, row, at, cells = Lines(text), list[Cell](), 0, 0
    while at < len(text):
        found = cell.match(text, at)
        if not found:
            raise Unreadable("the quotes of this cell do not pair", lines.place(at))
        quoted, bare, end = found.groups()
        written = bare if quoted is None else quoted.replace('""', '"')
        row.append(Cell(written.strip(), lines.place(at)))
        if (cells := cells + 1) > MAX_VALUES:
            raise too_many(row[-1].place)
        at = found.end()
        if end != delimiter:
            yield from _filled(row)
            row = []
    yield from _filled(row)


def _filled(row: list[Cell]) -> Iterator[list[Cell]]:
    if any(cell.text for cell in row):
        yield row
