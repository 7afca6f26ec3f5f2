"""What fits the schema and is wrong all the same: words, names, numbers and files that do not meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from continuity.client.shotlist.problems import MAX_FLAWS, Flaw, Steps, nearest, shown
from continuity.client.shotlist.size import size_flaws
from continuity.client.shotlist.tree import Tree

MAX_SHOTS = 2_000
FIELDS = ("shot_type", "camera_angle", "composition", "lighting", "mood", "style", "time_of_day", "weather")
Fields = dict[str, Any]


class Words:
    """The vocabulary as the reader needs it: per field, spellings (case, ``-``, ``_`` and space aside) and words."""

    def __init__(self, spellings: Mapping[str, Mapping[str, str]]) -> None:
        self._words = {
            field: {_fold(spelling): word for spelling, word in [*words.items(), *((w, w) for w in words.values())]}
            for field, words in spellings.items()
        }

    def find(self, field: str, spelling: str) -> str | None:
        """Return the word that ``spelling`` stands for."""
        return self._words[field].get(_fold(spelling))

    def flaw(self, field: str, steps: Steps, spelling: str) -> Flaw:
        """Return the flaw of an unknown ``spelling`` at ``steps``."""
        words = self._words[field]
        near = nearest(_fold(spelling), words)
        known = "" if near else f"; known are {', '.join(dict.fromkeys(words.values()))}"
        return Flaw(steps, f"unknown {field} {shown(spelling)}{known}", words[near] if near else None)


def entries(holder: Any, key: str, steps: Steps = ()) -> Iterator[tuple[Steps, Fields]]:
    """Yield the mappings in the list or mapping ``holder[key]``, each with its steps; what is none is passed over."""
    held = holder.get(key) if isinstance(holder, dict) else None
    pairs = enumerate(held) if isinstance(held, list) else held.items() if isinstance(held, dict) else ()
    for step, fields in pairs:
        if isinstance(fields, dict):
            yield (*steps, key, step), fields


def named(data: Any, key: str) -> Iterator[tuple[Steps, Any, Fields]]:
    """Yield steps, name and fields of the characters or locations, whichever way they are listed."""
    for steps, fields in entries(data, key):
        yield steps, fields.get("name") if isinstance(steps[-1], int) else steps[-1], fields


def shots(data: Any) -> Iterator[tuple[Steps, Fields, Fields]]:
    """Yield steps and fields of each shot, with the fields of its scene."""
    for at, scene in entries(data, "scenes"):
        for steps, shot in entries(scene, "shots", at):
            yield steps, shot, scene


def referential_flaws(tree: Tree, folder: Path, words: Words) -> Iterator[Flaw]:
    """Yield what in the tree refers to nothing or stands twice. Values of a wrong type are the schema's to refuse."""
    yield from islice(_unknown_words(tree.data, words), MAX_FLAWS)
    yield from islice(_unknown_names(tree.data), MAX_FLAWS)
    yield from islice(_repeats(tree), MAX_FLAWS)
    yield from _missing_files(tree.data, folder)
    yield from size_flaws(tree.data.get("film") if isinstance(tree.data, dict) else None)
    if (count := sum(1 for _ in shots(tree.data))) > MAX_SHOTS:
        yield Flaw(("scenes",), f"{MAX_SHOTS} shots are the most, these are {count}")


def _unknown_words(data: Any, words: Words) -> Iterator[Flaw]:
    film = data.get("film") if isinstance(data, dict) else None
    holders: list[tuple[Steps, Fields]] = [(("film",), film)] if isinstance(film, dict) else []
    holders += [*entries(data, "locations"), *entries(data, "scenes")]
    holders += [(steps, shot) for steps, shot, _ in shots(data)]
    for steps, fields in holders:
        asked = {field: field for field in FIELDS if field in fields}
        if steps[0] == "locations" and "type" in fields:
            asked["type"] = "location_type"
        for field, kind in asked.items():
            spelling = fields[field]
            if isinstance(spelling, str) and spelling and words.find(kind, spelling) is None:
                yield words.flaw(kind, (*steps, field), spelling)


def _unknown_names(data: Any) -> Iterator[Flaw]:
    places = [name for _, name, _ in named(data, "locations") if isinstance(name, str)]
    cast = [name for _, name, _ in named(data, "characters") if isinstance(name, str)]
    for steps, scene in entries(data, "scenes"):
        yield from _unknown("location", scene.get("location"), (*steps, "location"), places)
    for steps, shot, scene in shots(data):
        yield from _unknown("location", shot.get("location"), (*steps, "location"), places)
        if "location" not in shot and "location" not in scene:
            yield Flaw((*steps, "location"), "neither the shot nor its scene has a 'location'")
        yield from _unknown_cast(shot.get("characters"), (*steps, "characters"), cast)


def _unknown_cast(present: Any, steps: Steps, cast: list[str]) -> Iterator[Flaw]:
    seen: set[str] = set()
    for index, name in enumerate(present if isinstance(present, list) else ()):
        if isinstance(name, str):
            yield from _unknown("character", name, (*steps, index), cast)
            if name in seen:
                yield Flaw((*steps, index), f"{shown(name)} is in this shot already")
            seen.add(name)


def _unknown(what: str, name: Any, steps: Steps, known: list[str]) -> Iterator[Flaw]:
    if isinstance(name, str) and name not in known:
        yield Flaw(steps, f"unknown {what} {shown(name)}", nearest(name, known))


def _repeats(tree: Tree) -> Iterator[Flaw]:
    for key in ("characters", "locations"):
        names = [((*steps, "name"), name) for steps, name, _ in named(tree.data, key) if isinstance(steps[-1], int)]
        yield from _second(tree, [(steps, shown(name), _same(name)) for steps, name in names])
    ids = [((*steps, "id"), scene.get("id")) for steps, scene in entries(tree.data, "scenes")]
    yield from _second(tree, [(steps, f"scene {shown(name)}", _same(name)) for steps, name in ids])
    numbers = [((*steps, "shot"), shot.get("shot"), scene.get("id")) for steps, shot, scene in shots(tree.data)]
    yield from _second(
        tree,
        [(steps, f"shot {n} of scene {s}", (n, _same(s)) if isinstance(n, int) else None) for steps, n, s in numbers],
    )


def _second(tree: Tree, found: list[tuple[Steps, str, Any]]) -> Iterator[Flaw]:
    first: dict[Any, Steps] = {}
    for steps, label, identity in found:
        if isinstance(identity, str | tuple) and first.setdefault(identity, steps) != steps:
            place = tree.place(Flaw(first[identity], ""))
            yield Flaw(steps, f"{label} stands here again, first at line {place.line}, column {place.column}")


def _same(name: Any) -> str | None:
    return str(name).casefold() if isinstance(name, str | int) else None


def _missing_files(data: Any, folder: Path) -> Iterator[Flaw]:
    for key in ("characters", "locations"):
        for steps, fields in entries(data, key):
            yield from _missing(fields, "photo", steps, folder)
    for steps, options in _render_options(data):
        if isinstance(source := options.get("source"), dict):
            yield from _missing(source, "image", (*steps, "source"), folder)
            yield from _missing(source, "mask", (*steps, "source"), folder)


def _missing(fields: Fields, key: str, steps: Steps, folder: Path) -> Iterator[Flaw]:
    path = fields.get(key)
    if isinstance(path, str) and path and not _is_file(folder / path):
        yield Flaw((*steps, key), f"there is no file {shown(path)} beside the shot list")


def _render_options(data: Any) -> Iterator[tuple[Steps, Fields]]:
    film = data.get("film") if isinstance(data, dict) else None
    holders: list[tuple[Steps, Any]] = [(("film",), film), *((steps, shot) for steps, shot, _ in shots(data))]
    for steps, holder in holders:
        if isinstance(holder, dict) and isinstance(holder.get("render"), dict):
            yield (*steps, "render"), holder["render"]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _fold(spelling: str) -> str:
    return "-".join(spelling.casefold().replace("_", " ").replace("-", " ").split())
