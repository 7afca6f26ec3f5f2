"""Variables whose values cannot be used, as people are told of them: the variable, its value, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from continuity.kernel.variables import PREFIX

MAX_SHOWN = 60
_LIMITS = {
    "greater_than_equal": "{ge} is the least",
    "greater_than": "it must be above {gt}",
    "less_than_equal": "{le} is the most",
    "less_than": "it must be below {lt}",
    "finite_number": "it must be a finite number",
    "int_parsing": "it must be a whole number",
    "int_parsing_size": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "bool_parsing": "it must be true or false",
}
"""By kind of error, of settings that hold numbers and truth values: these are no secrets."""
_UNSHOWN = {
    "string_pattern_mismatch": "it must fit the pattern {pattern}",
    "string_too_long": "{max_length} characters are the most",
    "string_too_short": "{min_length} characters are the least",
    "value_error": "{error}",
}
"""Likewise, of settings that hold text: that may be a secret."""


def wrong_variable(error: Mapping[str, Any]) -> str:
    """Return the line for one entry of pydantic's ``ValidationError.errors``; no value that may be a secret."""
    name, kind, given = _variable(error["loc"]), error["type"], _shown(error.get("input"))
    told = {limit: _plain(value) for limit, value in (error.get("ctx") or {}).items()}
    if kind == "literal_error":
        return f"{name}: {given} is none of {told['expected']}"
    if kind in _LIMITS:
        return f"{name}: {given} is not acceptable; {_LIMITS[kind].format(**told)}"
    return f"{name}: {_UNSHOWN[kind].format(**told) if kind in _UNSHOWN else error['msg']}"


def _variable(place: tuple[str | int, ...]) -> str:
    name = "_".join(map(str, place)).upper()
    return name if name.startswith(("XDG_", PREFIX)) else f"{PREFIX}{name}"


def _plain(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
