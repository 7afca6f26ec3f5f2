"""A shot list that was read and may be wrong: all that is wrong with it is told together, whoever has found it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from continuity.client.shotlist.model import ShotList
from continuity.client.shotlist.problems import MAX_FLAWS, NOWHERE, Flaw, Problem, ShotListInvalid, Steps
from continuity.client.shotlist.reader import problems, read_tree
from continuity.client.shotlist.references import MAX_SHOTS, Words, referential_flaws, shots
from continuity.client.shotlist.refusals import flaw_at
from continuity.client.shotlist.render_options import Fields, RenderOptions, render_options
from continuity.client.shotlist.resolve import resolve
from continuity.client.shotlist.schema import structural_flaws
from continuity.client.shotlist.source import Unreadable
from continuity.client.shotlist.tree import Tree

_PARTED = ("hires", "layout")
"""Options whose fields stand by themselves: where one is wrong, the others are asked for all the same."""


@dataclass(frozen=True)
class Draft:
    """``flaws`` are what can be told by the list alone."""

    path: Path
    tree: Tree
    words: Words
    flaws: tuple[Flaw, ...]

    @property
    def film(self) -> Fields:
        """The fields of the film, wrong ones included; none where it is no mapping."""
        film = self.tree.data.get("film") if isinstance(self.tree.data, dict) else None
        return film if isinstance(film, dict) else {}

    def film_options(self) -> RenderOptions | None:
        """Return what the film asks of the engine, without what is wrong with it by itself."""
        return self._options(("film",), self.film)

    def shot_options(self) -> tuple[RenderOptions | None, ...]:
        """Return what each shot asks for of its own, likewise, in the order of the shots."""
        return tuple(self._options(steps, shot) for steps, shot, _ in islice(shots(self.tree.data), MAX_SHOTS))

    def complete(self, refused: Iterable[tuple[str, str]] = ()) -> ShotList:
        """Return the list. Raises ``ShotListInvalid`` with its flaws and with what others have ``refused``.

        That is a field as the service names it (``shots[3].options.sampler``), or an option of the command line, and
        what is said of it.
        """
        told = [flaw_at(self.tree, *each) or Flaw(each[:1], each[1], place=NOWHERE) for each in refused]
        if flaws := [*self.flaws, *told]:
            raise ShotListInvalid(problems(flaws, self.tree, str(self.path)))
        return resolve(self.tree.data, self.path.parent, self.words)

    def _options(self, steps: Steps, holder: Fields) -> RenderOptions | None:
        fields = holder.get("render")
        if not isinstance(fields, dict) or len(self.flaws) >= MAX_FLAWS:  # beyond, nobody has looked
            return None
        return render_options(_sound(fields, self._wrong_options[*steps, "render"]), self.path.parent)

    @cached_property
    def _wrong_options(self) -> Mapping[Steps, list[Steps]]:
        """The flaws of each ``render``, as the ways from there."""
        wrong: defaultdict[Steps, list[Steps]] = defaultdict(list)
        for flaw in self.flaws:
            if "render" in flaw.steps:
                begin = flaw.steps.index("render") + 1
                wrong[flaw.steps[:begin]].append(flaw.steps[begin:])
        return wrong


def read_draft(path: Path, vocabulary: Mapping[str, Mapping[str, str]]) -> Draft:
    """Return what stands in ``path``. Raises ``ShotListInvalid`` only where it cannot be parsed.

    ``vocabulary`` holds, for each of ``shot_type camera_angle composition lighting mood style time_of_day weather
    location_type``, every accepted spelling and the word that it stands for.
    """
    try:
        tree = read_tree(path)
    except Unreadable as wrong:
        problem = Problem(str(path), wrong.place.line, wrong.place.column, "", wrong.message)
        raise ShotListInvalid((problem,)) from wrong
    words = Words(vocabulary)
    flaws = (*tree.flaws, *structural_flaws(tree.data), *referential_flaws(tree, path.parent, words))
    return Draft(path, tree, words, flaws)


def read_shot_list(path: Path, vocabulary: Mapping[str, Mapping[str, str]]) -> ShotList:
    """Return the shot list in ``path``. Raises ``ShotListInvalid`` with all problems at once; see ``read_draft``."""
    return read_draft(path, vocabulary).complete()


def _sound(fields: Fields, wrong: Iterable[Steps]) -> Fields:
    """Return the options without those that are ``wrong``."""
    left = dict(fields)
    for name, *within in wrong:
        held = left.pop(str(name), None)
        if within and name in _PARTED and isinstance(held, dict):
            left[str(name)] = {each: value for each, value in held.items() if each != within[0]}
    return left
