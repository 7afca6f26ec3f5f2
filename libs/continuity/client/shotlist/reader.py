"""Reads a shot list from YAML, JSON or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from continuity.client.shotlist.csv_layout import read_csv
from continuity.client.shotlist.json_format import read_json
from continuity.client.shotlist.model import ShotList
from continuity.client.shotlist.problems import Flaw, Problem, ShotListInvalid, dotted
from continuity.client.shotlist.references import Words, referential_flaws
from continuity.client.shotlist.resolve import resolve
from continuity.client.shotlist.schema import structural_flaws
from continuity.client.shotlist.source import Unreadable, read_text
from continuity.client.shotlist.tree import Tree
from continuity.client.shotlist.yaml_format import read_yaml

_FORMATS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".csv": read_csv}


def read_shot_list(path: Path, vocabulary: Mapping[str, Mapping[str, str]]) -> ShotList:
    """Return the shot list in ``path``.

    ``vocabulary`` holds, for each of ``shot_type camera_angle composition lighting mood style time_of_day weather
    location_type``, every accepted spelling and the word that it stands for. Raises ``ShotListInvalid`` with all
    problems at once; only a file that cannot be parsed ends at its first.
    """
    try:
        tree = read_tree(path)
    except Unreadable as wrong:
        problem = Problem(str(path), wrong.place.line, wrong.place.column, "", wrong.message)
        raise ShotListInvalid((problem,)) from wrong
    words = Words(vocabulary)
    if flaws := [*tree.flaws, *structural_flaws(tree.data), *referential_flaws(tree, path.parent, words)]:
        raise ShotListInvalid(problems(flaws, tree, str(path)))
    return resolve(tree.data, path.parent, words)


def read_tree(path: Path) -> Tree:
    """Return what stands in ``path``, whatever it is written in. Raises ``Unreadable``."""
    parse = _FORMATS.get(path.suffix.lower())
    if parse is None:
        raise Unreadable(f"the suffix {path.suffix!r} is none of {', '.join(_FORMATS)}")
    return parse(read_text(path))


def problems(flaws: list[Flaw], tree: Tree, file: str) -> tuple[Problem, ...]:
    """Return the flaws with their places, each once, in the order of the file."""
    found = {
        Problem(file, *tree.place(flaw), dotted(flaw.steps), flaw.message, flaw.suggestion): None for flaw in flaws
    }
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))
