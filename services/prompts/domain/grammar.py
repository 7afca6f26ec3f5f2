r"""AUTOMATIC1111's prompt grammar: ``(x:1.3)`` and ``[x]`` are weights, ``\`` escapes, ``BREAK`` and ``AND`` split.

Vocabulary and styles are written in this grammar. What users write is plain text: ``literal`` makes it read as such.
"""

from __future__ import annotations

import re
import unicodedata

_SYNTAX = re.compile(r"[\\()\[\]]")
_KEYWORD = re.compile(r"\b(BREAK|AND)\b")
_NOT_TEXT = {"Cc", "Cs"}
_WEIGHTING = re.compile(r":\s*[-+.\d]+(?=\s*\))|[()\[\]\\]")


def literal(text: str) -> str:
    """Return ``text`` on one line, so written that it holds no weight, keyword or extra network (``<lora:…>``)."""
    visible = "".join(" " if unicodedata.category(char) in _NOT_TEXT or char in "<>" else char for char in text)
    escaped = _SYNTAX.sub(r"\\\g<0>", " ".join(visible.split()))
    return _KEYWORD.sub(lambda keyword: keyword[0].lower(), escaped)


def emphasised(text: str, weight: float) -> str:
    """Return ``text`` with its attention multiplied by ``weight``."""
    return text if weight == 1 else f"({text}:{weight:g})"


def phrases(text: str) -> list[str]:
    """Return what stands between the commas of ``text``; commas in brackets and in numbers (``1,5``) do not part it."""
    found, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char in "([":
            depth += 1
        elif char in ")]":
            depth = max(0, depth - 1)
        elif char == "," and not depth and not (text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit()):
            found.append(text[start:at])
            start = at + 1
    return [phrase for part in [*found, text[start:]] if (phrase := part.strip(" \t\r\n.;,"))]


def bare(phrase: str) -> str:
    """Return what ``phrase`` says without weights, case and spacing: equal phrases have equal bare forms."""
    return " ".join(_WEIGHTING.sub(" ", phrase).casefold().split())


def without_repeats(candidates: list[str], said: set[str]) -> list[str]:
    """Return the phrases that say something not in ``said`` (bare forms), in order, and add what they say to it."""
    fresh = []
    for phrase in candidates:
        if (meaning := bare(phrase)) and meaning not in said:
            said.add(meaning)
            fresh.append(phrase)
    return fresh
