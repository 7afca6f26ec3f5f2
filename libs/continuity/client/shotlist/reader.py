"""Reads the values of a shot list and their places from YAML, JSON or CSV."""

from __future__ import annotations

from pathlib import Path

from continuity.client.shotlist.csv_layout import read_csv
from continuity.client.shotlist.json_format import read_json
from continuity.client.shotlist.problems import NOWHERE, Flaw, Problem, dotted
from continuity.client.shotlist.source import Unreadable, read_text
from continuity.client.shotlist.tree import Tree
from continuity.client.shotlist.yaml_format import read_yaml

_FORMATS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".csv": read_csv}


def read_tree(path: Path) -> Tree:
    """Return what stands in ``path``, whatever it is written in. Raises ``Unreadable``."""
    parse = _FORMATS.get(path.suffix.lower())
    if parse is None:
        raise Unreadable(f"the suffix {path.suffix!r} is none of {', '.join(_FORMATS)}")
    return parse(read_text(path))


def problems(flaws: list[Flaw], tree: Tree, file: str) -> tuple[Problem, ...]:
    """Return the flaws with their places, each once, in the order of the file."""
    found = {_problem(flaw, tree, file): None for flaw in flaws}
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))


def _problem(flaw: Flaw, tree: Tree, file: str) -> Problem:
    place = tree.place(flaw)
    return Problem("" if place == NOWHERE else file, *place, dotted(flaw.steps), flaw.message, flaw.suggestion)
