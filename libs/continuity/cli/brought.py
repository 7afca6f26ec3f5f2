"""Settings that a command brings along, beside those that a runtime was started with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, JsonValue

from continuity.kernel.variables import PREFIX

_TRUTH = {"true": True, "yes": True, "on": True, "t": True, "y": True}
_TRUTH |= {"false": False, "no": False, "off": False, "f": False, "n": False}


class Setting(BaseModel, frozen=True):
    """What a runtime has for a setting, and what one would have that nobody told anything else."""

    value: JsonValue
    default: JsonValue


def differences(held: Mapping[str, Setting], environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield each setting that the environment has otherwise than a runtime holds it, with both values."""
    given = {name.upper(): value for name, value in environment.items() if value}
    for name, setting in held.items():
        variable = f"{PREFIX}{name.upper()}"
        wanted = given.get(variable, setting.default)
        if _plain(wanted) != _plain(setting.value):
            yield f"{variable} is {_shown(setting.value)} there, {_shown(wanted)} here"


def _plain(value: JsonValue) -> object:
    """Return what a value means, whether JSON or a variable has it."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return _TRUTH.get(value.casefold(), value)


def _shown(value: JsonValue) -> str:
    return "not set" if value is None or value == "" else str(value)
