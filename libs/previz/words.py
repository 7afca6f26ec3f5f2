"""Finding what a place is from what is said about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from previz.spec import LocationSpec

Thing = TypeVar("Thing")
_WORD = re.compile(r"[^\W\d_]+")


def first_named(location: LocationSpec, things: Sequence[tuple[tuple[str, ...], Thing]], otherwise: Thing) -> Thing:
    """The thing whose word comes first in the place's kind, else in its name, else in its description."""
    by_word = {word: thing for words, thing in things for word in words}
    for text in (location.kind, location.name, location.description):
        for word in _WORD.findall(text.lower()):
            if word in by_word:
                return by_word[word]
    return otherwise
