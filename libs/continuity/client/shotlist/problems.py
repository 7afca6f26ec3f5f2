"""What is wrong with a shot list, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from continuity.client.shotlist.source import Place
from continuity.kernel.errors import Invalid

MAX_FLAWS = 1000
NOWHERE = Place(0, 0)
"""Where what the list does not say stands."""
Steps = tuple[str | int, ...]
"""The way to a value: ``("scenes", 0, "shots", 2, "mood")``."""


@dataclass(frozen=True)
class Problem:
    """One thing to mend. ``line`` and ``column`` count from 1; ``path`` is like ``scenes[0].shots[2].mood``.

    What the list does not say (``--steps`` on the command line) has no ``file``; its line and column are 0.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.file else ""
        where = ": ".join(filter(None, (place, self.path)))
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{where}: {self.message}{hint}"


@dataclass(eq=False)
class ShotListInvalid(Invalid):
    """The shot list cannot be read; ``problems`` are all that are wrong with it, in the order of the file."""

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True)
class Flaw:
    """A problem on its way to a place: that of its key (``on_key``) or value, unless ``place`` says it."""

    steps: Steps
    message: str
    suggestion: str | None = None
    on_key: bool = False
    place: Place | None = None


def dotted(steps: Steps) -> str:
    """Return ``steps`` as people write them."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def nearest(value: str, known: Iterable[str]) -> str | None:
    """Return what of ``known`` is most like ``value``, None where nothing is."""
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    near = difflib.get_close_matches(value[:100].casefold(), folded, n=1)
    return folded[near[0]] if near else None


def shown(value: object) -> str:
    """Return ``value`` as a message quotes it: on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
