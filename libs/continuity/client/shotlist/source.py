"""A shot list as text: read with a limit on its size, places in it counted for people."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 4 * 2**20
MAX_VALUES = 200_000
NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Place(NamedTuple):
    """Line and column, both from 1; columns count characters."""

    line: int
    column: int


START = Place(1, 1)


@dataclass
class Unreadable(Exception):
    """Nothing can be read from ``place`` on."""

    message: str
    place: Place = START


class Lines:
    """Finds places in a text in logarithmic time."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(end.end() for end in re.finditer(r"\r\n|\n|\r", text))]

    def place(self, offset: int) -> Place:
        """Return the place of the character at ``offset``."""
        line = bisect_right(self._starts, offset)
        return Place(line, offset - self._starts[line - 1] + 1)


def too_many(place: Place) -> Unreadable:
    """Return the refusal of a document that holds more than ``MAX_VALUES`` values at ``place``."""
    return Unreadable(f"more than {MAX_VALUES} values are more than a shot list has", place)


def read_text(path: Path) -> str:
    """Return the text of ``path`` (UTF-8, a byte-order mark is dropped). Raises ``Unreadable``."""
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        raise Unreadable("this is not UTF-8; save the file as UTF-8", Lines(before).place(len(before))) from error
    if stray := NOT_TEXT.search(text):
        raise Unreadable(f"the character U+{ord(stray[0]):04X} is not text", Lines(text).place(stray.start()))
    if not text.strip():
        raise Unreadable("the file is empty")
    return text


def _read_bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise Unreadable("this is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"the file cannot be opened: {(error.strerror or str(error)).lower()}") from error
    if len(content) > MAX_BYTES:
        raise Unreadable(f"the file is too large; {MAX_BYTES // 2**20} MiB are the limit")
    return content
