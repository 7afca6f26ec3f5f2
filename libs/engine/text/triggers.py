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
        parts, start = [], 0
        spans = self._spans()
        for match in self._pattern().finditer(text):
            parts.append((text[start : match.start()], spans[int(match.lastindex or 0) - 1]))
            start = match.end()
        return [*parts, (text[start:], ())]

    def _pattern(self) -> re.Pattern[str]:
        """One group for each name: what it matched need not be spelled as the name is, not even in small letters."""
        return re.compile("|".join(f"({_pattern(name)})" for name, _ in self._longest_first()), re.IGNORECASE)

    def _spans(self) -> list[tuple[int, ...]]:
        """The reserved ids of each name, in the order of the pattern's groups."""
        spans, first = {}, RESERVED
        for name, rows in self.rows:
            spans[name] = tuple(range(first, first + rows))
            first += rows
        return [spans[name] for name, _ in self._longest_first()]

    def _longest_first(self) -> list[tuple[str, int]]:
        """So that "ada-old" is not read as "ada" and more."""
        return sorted(self.rows, key=lambda row: len(row[0]), reverse=True)


def _occurs(name: str, texts: tuple[str, ...]) -> bool:
    pattern = re.compile(_pattern(name), re.IGNORECASE)
    return any(pattern.search(text) for text in texts)


def _pattern(name: str) -> str:
    """Match the name as a word of its own; CLIP's tokenizer knows no capitals, so neither do triggers."""
    before = r"(?<!\w)" if re.match(r"\w", name) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", name) else ""
    return before + re.escape(name) + after
