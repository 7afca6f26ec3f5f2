"""What a service refuses of a submission, told at the place where the shot list asks for it."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

from continuity.client.shotlist.problems import Flaw, ShotListInvalid, Steps
from continuity.client.shotlist.reader import problems, read_tree
from continuity.client.shotlist.references import shots
from continuity.client.shotlist.source import Unreadable
from continuity.client.shotlist.tree import Tree

_PART = re.compile(r"([a-z0-9_]+)(?:\[(\d+)\])?\.?")
_NAMES: dict[str, Steps] = {
    "options": ("render",),
    "layout_guide": ("layout", "guide"),
    "layout_strength": ("layout", "strength"),
    "image_sha256": ("image",),
    "mask_sha256": ("mask",),
}
"""Fields of the request that a list calls otherwise."""


def told_in_list(path: Path, field: str, message: str) -> ShotListInvalid | None:
    """Return the refusal of ``field``, such as ``shots[3].options.sampler``; None where the list does not say it."""
    try:
        tree = read_tree(path)
    except Unreadable:
        return None
    told = flaw_at(tree, field, message)
    return ShotListInvalid(problems([told], tree, str(path))) if told else None


def flaw_at(tree: Tree, field: str, message: str) -> Flaw | None:
    """Return the refusal of ``field`` as a flaw of the list; None where it does not say it."""
    steps = _steps(field, tree.data)
    return Flaw(steps, message) if field and steps in tree.values else _named_by_key(tree, steps, message)


def _named_by_key(tree: Tree, steps: Steps, message: str) -> Flaw | None:
    """Return the flaw of a name that stands as a key: ``loras: {grain: 0.5}`` has it for ``loras[0].name``."""
    held = _held(tree.data, steps[:-2])
    if steps[-1:] != ("name",) or not isinstance(held, dict) or not isinstance(number := steps[-2], int):
        return None
    key = next(islice(held, number, None), None)
    return Flaw((*steps[:-2], key), message, on_key=True) if key is not None else None


def _held(data: Any, steps: Steps) -> Any:
    for step in steps:
        within = isinstance(data, dict) or (isinstance(data, list) and isinstance(step, int))
        try:
            data = data[step] if within else None
        except LookupError:
            return None
    return data


def _steps(field: str, data: Any) -> Steps:
    parts = [(name, int(number) if number else None) for name, number in _PART.findall(field)]
    begin: Steps = ("film",)
    if parts and parts[0][0] == "shots":
        number = parts.pop(0)[1] or 0
        begin = next((at for at, _, _ in islice(shots(data), number, None)), ())
    return begin + tuple(step for part in parts for step in _of_list(*part))


def _of_list(name: str, number: int | None) -> Steps:
    own = _NAMES.get(name, (name,))
    return own if number is None else (*own, number)
