r"""The grammar of weights that AUTOMATIC1111's web UI has made usual, so that prompts mean here what they mean there.

``(x)`` weighs 1.1, ``(x:1.3)`` 1.3, ``[x]`` 1/1.1; nested ones multiply. A backslash makes the bracket after it text.
An opening bracket that is never closed reaches to the end, a closing one that was never opened is text. The word
``BREAK`` parts the prompt. Prompts that change from step to step (``[a:b:0.5]``, ``[a:0.5]``, ``[a|b]``) are refused
rather than drawn as if they were weights; ``AND`` is a word, for people meet in capitals: "ANNA AND BEN".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import Refused

__all__ = ["ROUND", "SQUARE", "Passage", "sections"]

ROUND = 1.1
SQUARE = 1 / ROUND
_LEXEME = re.compile(
    r"""
    \\ (?P<escaped> [()\[\]\\] )?
    | (?P<open> [(\[] )
    | : \s*+ (?P<weight> [+-]?+ (?: \d++\.?+\d*+ | \.\d++ ) ) \s*+ \)
    | (?P<close> [)\]] )
    | (?P<text> [^\\()\[\]:]+ | : )
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\bBREAK\b")
_CHANGING = re.compile(r"\| | : \s*+ (?: \d++\.?+\d*+ | \.\d++ ) \s*+ \Z", re.VERBOSE)
"""Within square brackets: alternatives, or the step from which on."""
_STAY = r"only words that stay from step to step are drawn; write \[ and \] for brackets as text"
_OPENING = {")": "(", "]": "["}
_FACTORS = {"(": ROUND, "[": SQUARE}


class Passage(NamedTuple):
    """Words of one weight."""

    text: str
    weight: float


@dataclass
class _Lexeme:
    """``kind`` is ``(``, ``[``, ``)``, ``]`` or ``text``; what is no bracket pair in the end is made text."""

    kind: str
    text: str
    factor: float = 1.0


def sections(prompt: str, field: str = "prompt") -> list[list[Passage]]:
    """Return the passages of a prompt, in order, parted at each ``BREAK``; there is always one section.

    Raises ``Refused``, for ``field``, where words would have to change from step to step.
    """
    parts: list[list[Passage]] = [[]]
    weights: dict[str, list[float]] = {"(": [1.0], "[": [1.0]}
    for lexeme in _paired(_lexemes(prompt), field):
        if lexeme.kind in weights:
            weights[lexeme.kind].append(weights[lexeme.kind][-1] * lexeme.factor)
        elif lexeme.kind in _OPENING:
            weights[_OPENING[lexeme.kind]].pop()
        else:
            _say(parts, lexeme.text, weights["("][-1] * weights["["][-1], breaks=lexeme.kind == "text")
    return parts


def _say(parts: list[list[Passage]], text: str, weight: float, breaks: bool) -> None:
    """Add words; where the words before have the same weight, they are one passage with them."""
    first, *others = _parted(text) if breaks else [text]
    before = parts[-1].pop() if parts[-1] and parts[-1][-1].weight == weight else Passage("", weight)
    if said := before.text + first:
        parts[-1].append(Passage(said, weight))
    parts.extend([Passage(other, weight)] if other else [] for other in others)


def _parted(text: str) -> list[str]:
    """Part words at each ``BREAK``; the spaces around it go with it."""
    # The spaces are no part of the pattern: that would take quadratic time over a long run of them.
    first, *others = _BREAK.split(text)
    if not others:
        return [first]
    *between, last = others
    return [first.rstrip(), *(part.strip() for part in between), last.lstrip()]


def _lexemes(prompt: str) -> list[_Lexeme]:
    found = []
    for match in _LEXEME.finditer(prompt):
        bracket = match["open"] or match["close"]
        if match["weight"]:
            found.append(_Lexeme(")", match[0], float(match["weight"])))
        elif bracket:
            found.append(_Lexeme(bracket, bracket, _FACTORS[_OPENING.get(bracket, bracket)]))
        else:
            found.append(_Lexeme("text" if match["text"] else "escaped", match["text"] or match["escaped"] or ""))
    return found


def _paired(lexemes: list[_Lexeme], field: str) -> list[_Lexeme]:
    """Give every opening bracket the factor of the one that closes it; round and square ones may cross."""
    opened: dict[str, list[_Lexeme]] = {"(": [], "[": []}
    for lexeme in lexemes:
        if lexeme.kind in opened:
            opened[lexeme.kind].append(lexeme)
        elif lexeme.kind in _OPENING:
            openings = opened[_OPENING[lexeme.kind]]
            if openings:
                openings.pop().factor = lexeme.factor
            else:
                lexeme.kind = "escaped"
    _require_still(lexemes, field)
    return lexemes


def _require_still(lexemes: list[_Lexeme], field: str) -> None:
    """Look at the words directly within each pair of square brackets; what is nested in them has a look of its own."""
    within: list[list[str]] = [[]]
    for lexeme in lexemes:
        if lexeme.kind == "[":
            within.append([])
        elif lexeme.kind == "]":
            said = "".join(within.pop())
            if _CHANGING.search(said):
                raise Refused(field, f"[{said}]", _STAY)
        else:
            within[-1].append(lexeme.text if lexeme.kind == "text" else " ")
