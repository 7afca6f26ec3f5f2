"""The layout of a shot list as a table.

One row a shot. Other rows say what they are in the column ``kind``: ``film``, ``character``, ``location``, ``scene``.
A row fills the columns that its kind has; ``scene`` holds the id of the scene, in its own row and in its shots'.
What a cell cannot hold, ``render``, a table does not have.
"""

from __future__ import annotations

from typing import Any

from continuity.client.shotlist.csv_format import Cell, read_rows
from continuity.client.shotlist.problems import Flaw, Steps, nearest, shown
from continuity.client.shotlist.schema import properties
from continuity.client.shotlist.source import Place, Unreadable
from continuity.client.shotlist.tree import Tree, plain

KINDS = ("film", "character", "location", "scene", "shot")
_TRUTH = {"true": True, "yes": True, "y": True, "x": True, "1": True}
_TRUTH |= {"false": False, "no": False, "n": False, "0": False}


def read_csv(text: str) -> Tree:
    """Return the tree of ``text``, of the same shape as that of YAML and JSON. Raises ``Unreadable``."""
    header, *rows = read_rows(text)
    if not rows:
        raise Unreadable("the table has a header and no rows", header[0].place)
    table = _Table(header)
    for row in rows:
        table.take(row)
    return table.tree


class _Table:
    def __init__(self, header: list[Cell]) -> None:
        self.tree = Tree(data={"characters": [], "locations": [], "scenes": []})
        self._types = _types()
        self._scenes: dict[str, int] = {}
        self._given: set[Steps] = set()
        self._columns = ["_".join(cell.text.casefold().split()) for cell in header]
        for column, cell in zip(self._columns, header, strict=True):
            if column and column not in self._types:
                self._flaw(cell.place, f"unknown column {shown(cell.text)}", nearest(column, self._types))
            elif column and self._columns.count(column) > 1:
                self._flaw(cell.place, f"the column {column!r} stands in the header more than once")

    def take(self, row: list[Cell]) -> None:
        given: dict[str, Cell] = {}
        for index, cell in enumerate(row):
            column = self._columns[index] if index < len(self._columns) else ""
            if cell.text and not column:
                self._flaw(cell.place, f"{shown(cell.text)} stands in no column")
            elif cell.text and column in self._types:
                given[column] = cell
        start = row[0].place
        kind = given.pop("kind", Cell("shot", start))
        if kind.text.casefold() in KINDS:
            self._place(kind.text.casefold(), given, start)
        else:
            self._flaw(kind.place, f"unknown kind {shown(kind.text)}", nearest(kind.text, KINDS))

    def _place(self, kind: str, given: dict[str, Cell], start: Place) -> None:
        data = self.tree.data
        if kind in {"character", "location"}:
            held = data[f"{kind}s"]
            held.append(self._record((f"{kind}s", len(held)), given, start))
        elif kind == "film":
            data["film"] = self._only(("film",), given, start)
        elif "scene" not in given:
            self._flaw(start, "'scene' is missing")
        else:
            steps = self._scene(given.pop("scene"))
            scene = data["scenes"][steps[1]]
            if kind == "scene":
                scene.update(self._only(steps, given, start))
            else:
                scene["shots"].append(self._record((*steps, "shots", len(scene["shots"])), given, start))

    def _scene(self, named: Cell) -> tuple[str, int]:
        scenes = self.tree.data["scenes"]
        steps = "scenes", self._scenes.setdefault(named.text, len(scenes))
        if steps[1] == len(scenes):
            scenes.append({"id": named.text, "shots": []})
            self.tree.values[steps] = self.tree.values[(*steps, "id")] = named.place
        return steps

    def _only(self, steps: Steps, given: dict[str, Cell], start: Place) -> dict[str, Any]:
        if steps in self._given:
            self._flaw(start, f"this {str(steps[0]).removesuffix('s')} has a row already")
        self._given.add(steps)
        return self._record(steps, given, start)

    def _record(self, steps: Steps, given: dict[str, Cell], start: Place) -> dict[str, Any]:
        self.tree.values[steps] = start
        for column, cell in given.items():
            self.tree.values[(*steps, column)] = self.tree.keys[(*steps, column)] = cell.place
        return {column: _value(cell.text, self._types[column]) for column, cell in given.items()}

    def _flaw(self, place: Place, message: str, suggestion: str | None = None) -> None:
        steps = (f"row {place.line}",)
        self.tree.flaws.append(Flaw(steps, message, suggestion, place=place))


def _types() -> dict[str, Any]:
    types: dict[str, Any] = {"kind": "string", "scene": "string"}
    for kind in KINDS:
        types |= {name: described.get("type") for name, described in properties(kind).items()}
    return {name: written for name, written in types.items() if name not in {"id", "shots", "render"}}


def _value(text: str, written: Any) -> Any:
    """Return what a cell means in a column of that type; what does not fit stays text, for the schema to refuse."""
    if written == "array":
        return [part.strip() for part in text.split(";") if part.strip()]
    if written == "boolean":
        return _TRUTH.get(text.casefold(), text)
    return plain(text) if written in {"integer", "number"} else text
