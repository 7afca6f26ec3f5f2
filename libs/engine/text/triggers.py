"""Words that stand for embedding rows of a textual inversion: where they occur, which ids hold their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import Refused
from engine.text.chunks import CHUNK_TOKENS

__all__ = ["RESERVED", "Triggers"]

RESERVED = 1_000_000
"""The first id that is no token of any vocabulary."""


@dataclass(frozen=True)
class Triggers:
    """``rows``: the triggers that occur, in order of their names, and how many rows each has."""

    rows: tuple[tuple[str, int], ...]

    @classmethod
    def among(cls, known: Mapping[str, int], *texts: str) -> Triggers:
        """Return the known triggers that occur in one of the texts. Raises ``Refused`` for more rows than fit."""
        found = cls(tuple((name, known[name]) for name in sorted(known) if name and _occurs(name, texts)))
        for name, rows in found.rows:
            if not 1 <= rows <= CHUNK_TOKENS:
                raise Refused("prompt", f"{name} with {rows} rows", f"an embedding of 1 to {CHUNK_TOKENS} rows")
        return found

    def parted(self, text: str) -> list[tuple[str, tuple[int, ...]]]:
        """Return words and, after each run of them, the reserved ids of the trigger that follows (none at the end)."""
        if not self.rows:
            return [(text, ())]
        # The longest name first, so that "ada-old" is not read as "ada" and more.
        names = sorted((name for name, _ in self.rows), key=len, reverse=True)
        *before, last = _runs(text, re.compile("|".join(map(_pattern, names)), re.IGNORECASE))
        ids = self._ids()
        return [(words, ids[name.casefold()]) for words, name in before] + [(last[0], ())]

    def _ids(self) -> dict[str, tuple[int, ...]]:
        ids, first = {}, RESERVED
        for name, rows in self.rows:
            ids[name.casefold()] = tuple(range(first, first + rows))
            first += rows
        return ids


def _runs(text: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    runs, start = [], 0
    for match in pattern.finditer(text):
        runs.append((text[start : match.start()], match[0]))
        start = match.end()
    return [*runs, (text[start:], "")]


def _occurs(name: str, texts: tuple[str, ...]) -> bool:
    pattern = re.compile(_pattern(name), re.IGNORECASE)
    return any(pattern.search(text) for text in texts)


def _pattern(name: str) -> str:
    """Match the name as a word of its own; CLIP's tokenizer knows no capitals, so neither do triggers."""
    before = r"(?<!\w)" if re.match(r"\w", name) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", name) else ""
    return before + re.escape(name) + after
