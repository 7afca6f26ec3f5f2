"""What is said where no model of a name is installed, or one of another kind."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from engine.errors import Refused
from engine.models.entry import Entry
from engine.models.published import PUBLISHED

__all__ = ["FIELDS", "absent", "of_another_kind"]

FIELDS = {
    "checkpoint": "checkpoint",
    "lora": "loras",
    "ip-adapter": "references",
    "image-encoder": "references",
    "controlnet": "layout",
    "embedding": "prompt",
    "refiner": "refiner",
}
"""The request's field that a model of a kind stands in."""
_USUAL = {"checkpoint": "sdxl", "refiner": "sdxl-refiner"}


def absent(name: str, kind: str | None, installed: Iterable[Entry]) -> Refused:
    """Return what refuses a name that nothing is installed under; the field is ``model`` where any kind would do."""
    names = [each.name for each in installed if kind in (None, each.kind)]
    return Refused(FIELDS.get(kind or "", "model"), name, _hint(name, kind, names) + _installed(kind, names))


def of_another_kind(entry: Entry, kind: str, installed: Iterable[Entry]) -> Refused:
    """Return what refuses a model that stands in the field of another kind."""
    names = [each.name for each in installed if each.kind == kind]
    said = f"it is of kind {entry.kind}, one of kind {kind} is wanted; {_installed(kind, names)}"
    return Refused(FIELDS[kind], entry.name, said)


def _hint(name: str, kind: str | None, names: list[str]) -> str:
    if name in PUBLISHED and kind in (None, PUBLISHED[name].kind):
        return f"`continuity models pull {name}` installs it; "
    folded = {each.casefold(): each for each in names}
    if near := get_close_matches(name.casefold(), folded, n=1):
        return f"did you mean {folded[near[0]]!r}? "
    usual = _USUAL.get(kind or "checkpoint")
    return f"`continuity models pull {usual}` installs one; " if usual and not names else ""


def _installed(kind: str | None, names: list[str]) -> str:
    if not names:
        return f"no {kind or 'model'} is installed"
    return f"installed{f' of kind {kind}' if kind else ''}: {', '.join(names)}"
