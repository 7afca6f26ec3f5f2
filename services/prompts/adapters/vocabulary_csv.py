"""The vocabulary and the styles as CSV files: one file a kind, one line a word; styles as AUTOMATIC1111 keeps them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from continuity.kernel.errors import InvalidValue
from services.prompts.domain.vocabulary import Emphasis, Kind, Style, Term, Vocabulary

SERVICE = Path(__file__).parents[1]
_Entry = TypeVar("_Entry")


def read_vocabulary(
    words: Path = SERVICE / "vocabulary", styles: Path = SERVICE / "styles" / "styles.csv"
) -> Vocabulary:
    """Return the vocabulary of the folder ``words`` (``<kind>.csv``) and the style table ``styles``.

    Columns of a kind: ``word,phrase`` and, where they mean something, ``aliases`` (parted by ``;``), ``indoors``,
    ``face,hair,clothing``. Columns of the style table: ``name,prompt,negative_prompt``. Files are UTF-8, with or
    without a byte-order mark. Raises ``InvalidValue`` naming file and line.
    """
    return Vocabulary(
        {kind: tuple(_entries(words / f"{kind}.csv", _term, "word", "phrase")) for kind in Kind},
        tuple(_entries(styles, _style, "name", "prompt", "negative_prompt")),
    )


def _entries(path: Path, entry: Callable[[dict[str, str]], _Entry], *required: str) -> Iterator[_Entry]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        if not set(required) <= set(reader.fieldnames or ()):
            raise InvalidValue(f"{path.name}:1", reader.fieldnames, f"the columns are {', '.join(required)}")
        names: set[str] = set()
        for row in reader:
            place, name = f"{path.name}:{reader.line_num}", row[required[0]]
            if None in row or not name.strip() or name in names:
                raise InvalidValue(place, name, f"a line gives a new {required[0]} and one text for each column")
            names.add(name)
            try:
                yield entry(row)
            except ValueError as error:
                raise InvalidValue(place, name, str(error)) from error


def _term(row: dict[str, str]) -> Term:
    weights = {trait: float(row[trait]) for trait in ("face", "hair", "clothing") if trait in row}
    aliases = tuple(filter(None, row.get("aliases", "").split(";")))
    return Term(row["word"], row["phrase"], aliases, row.get("indoors"), Emphasis(**weights))


def _style(row: dict[str, str]) -> Style:
    return Style(row["name"], row["prompt"], row["negative_prompt"])
