"""The words that a shot may use, what each says to the model, and the styles."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from continuity.kernel.errors import InvalidValue
from services.prompts.domain.errors import UnknownWord


class Kind(StrEnum):
    """The sides of a picture that have a vocabulary."""

    SHOT_TYPE = "shot_type"
    CAMERA_ANGLE = "camera_angle"
    COMPOSITION = "composition"
    LIGHTING = "lighting"
    MOOD = "mood"
    TIME_OF_DAY = "time_of_day"
    WEATHER = "weather"
    LOCATION_TYPE = "location_type"


@dataclass(frozen=True)
class Emphasis:
    """How strongly a framing asks for a character's traits, as attention weights; 0: not in the frame, left unsaid."""

    face: float = 1.2
    hair: float = 1.1
    clothing: float = 1.2


@dataclass(frozen=True)
class Term:
    """A word and its phrase; ``indoors`` is what it says in an interior (None: the same, empty: nothing)."""

    word: str
    phrase: str
    aliases: tuple[str, ...] = ()
    indoors: str | None = None
    emphasis: Emphasis = Emphasis()

    def says(self, *, indoors: bool) -> str:
        """Return the phrase for an interior or an exterior."""
        return self.indoors if indoors and self.indoors is not None else self.phrase


@dataclass(frozen=True)
class Style:
    """A look: ``{prompt}`` in ``prompt`` marks where the shot goes; without it the style follows the shot."""

    name: str
    prompt: str
    negative: str

    def __post_init__(self) -> None:
        if self.prompt.count("{prompt}") > 1:
            raise InvalidValue(f"style {self.name}", self.prompt, "{prompt} stands in it once at most")

    def around(self) -> tuple[str, str]:
        """Return what stands before and after the shot, separators included."""
        before, placeholder, after = self.prompt.partition("{prompt}")
        if placeholder:
            return before, after
        return "", f", {self.prompt}" if self.prompt else ""


PLAIN = Style("", "", "")


class Vocabulary:
    """All words and styles. Spellings are equal whatever their case, and whether ``-``, ``_`` or a space parts them."""

    def __init__(self, terms: Mapping[Kind, Iterable[Term]], styles: Iterable[Style]) -> None:
        self._terms = {kind: {term.word: term for term in terms.get(kind, ())} for kind in Kind}
        self._styles = {style.name: style for style in styles}
        self._spellings = {
            kind.value: _spellings(kind.value, {word: term.aliases for word, term in self._terms[kind].items()})
            for kind in Kind
        } | {"style": _spellings("style", dict.fromkeys(self._styles, ()))}

    @property
    def spellings(self) -> Mapping[str, Mapping[str, str]]:
        """Per field (the kinds and ``style``), every accepted spelling, folded, and the word that it stands for."""
        return self._spellings

    def term(self, kind: Kind, word: str) -> Term:
        """Return the term that ``word`` spells. Raises ``UnknownWord``."""
        return self._terms[kind][self._word(kind.value, word)]

    def style(self, name: str | None) -> Style:
        """Return the style of that name, a plain one for None. Raises ``UnknownWord``."""
        return PLAIN if name is None else self._styles[self._word("style", name)]

    def _word(self, field: str, spelling: str) -> str:
        spellings, folded = self._spellings[field], fold(spelling)
        if folded in spellings:
            return spellings[folded]
        near = difflib.get_close_matches(folded, spellings, n=1)
        known = tuple(dict.fromkeys(spellings.values()))
        raise UnknownWord(field, spelling, spellings[near[0]] if near else None, known)


def fold(spelling: str) -> str:
    """Return the form in which spellings are compared: ``Golden Hour`` and ``golden_hour`` are ``golden-hour``."""
    return "-".join(spelling.casefold().replace("_", " ").replace("-", " ").split())


def _spellings(field: str, aliases_by_word: Mapping[str, Iterable[str]]) -> dict[str, str]:
    spellings: dict[str, str] = {}
    for word, aliases in aliases_by_word.items():
        for spelling in map(fold, (word, *aliases)):
            if spellings.setdefault(spelling, word) != word:
                raise InvalidValue(field, spelling, f"it already spells {spellings[spelling]!r}")
    return spellings
