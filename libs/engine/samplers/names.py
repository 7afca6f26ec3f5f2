"""What samplers and schedules are called, here and elsewhere, and which of them go together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from engine.errors import Refused

__all__ = ["NAMES", "POSSIBLE", "SCHEDULES", "chosen", "default_schedule"]

_EVERY = ("karras", "normal", "exponential", "beta", "sgm-uniform")

POSSIBLE: Mapping[str, tuple[str, ...]] = {
    "euler": ("normal", "karras", "exponential", "beta", "sgm-uniform"),
    "euler-ancestral": ("normal", "sgm-uniform"),
    "heun": ("normal", "karras", "exponential", "beta", "sgm-uniform"),
    "dpmpp-2m": _EVERY,
    "dpmpp-2m-sde": _EVERY,
    "dpmpp-sde": _EVERY,
    "ddim": ("normal", "sgm-uniform"),
    "unipc": ("normal", "karras", "exponential", "beta", "sgm-uniform"),
    "lcm": ("normal",),
}
"""Schedules by sampler, the usual one first."""

NAMES: Mapping[str, str] = {
    **{name: name for name in POSSIBLE},
    "euler-a": "euler-ancestral",
    "dpmpp-2m-sde-gpu": "dpmpp-2m-sde",
    "dpmpp-sde-gpu": "dpmpp-sde",
    "uni-pc": "unipc",
    "uni-pc-bh2": "unipc",
}
"""Our names by the usual ones, written small, with hyphens, "++" as "pp": "DPM++ 2M" stands under ``dpmpp-2m``.

A "k" before or behind a name goes with it: ``k_euler``, ``dpmpp_2m_k``; behind it asks for Karras's schedule.
"""

SCHEDULES: Mapping[str, str] = {
    **{name: name for name in _EVERY},
    "uniform": "normal",
    "ddim-uniform": "normal",
    "trailing": "sgm-uniform",
    "simple": "sgm-uniform",
    "k": "karras",
}
"""Our names by the usual ones. ``normal`` takes the timesteps as the checkpoint's own scheduler spaces them."""
_NEAR = 0.7
"""How much of two names is the same; below it is another sampler ("LMS" is no slip in "LCM")."""
AUTOMATIC = ("automatic", "default")
"""Names of whatever schedule a sampler is usually run with."""


def chosen(sampler: str, schedule: str | None = None) -> tuple[str, str]:
    """Return our names of a sampler and a schedule; None stands for the usual schedule of that sampler.

    A sampler's name may carry its schedule ("DPM++ 2M Karras"). Raises ``Refused``, for two that contradict each other
    as well.
    """
    name, carried = _parted(_plain(sampler).removeprefix("k-"))
    if name not in NAMES:
        raise Refused("sampler", sampler, _said(_near_sampler(_plain(sampler).removeprefix("k-")), POSSIBLE))
    own = NAMES[name]
    usual = carried or default_schedule(own)
    wanted = usual if schedule is None else _schedule(schedule, usual)
    if carried and wanted != carried:
        raise Refused("schedule", schedule, f"the sampler {sampler!r} says {carried}: leave one of them out")
    if wanted not in POSSIBLE[own]:
        said = ("sampler", sampler) if schedule is None or carried else ("schedule", schedule)
        raise Refused(*said, f"{own} knows {', '.join(POSSIBLE[own])}")
    return own, wanted


def default_schedule(sampler: str) -> str:
    """Return the schedule that a sampler, by our name, is usually run with."""
    return POSSIBLE[sampler][0]


def _schedule(schedule: str, usual: str) -> str:
    plain = _plain(schedule)
    if plain in AUTOMATIC:
        return usual
    if plain not in SCHEDULES:
        raise Refused("schedule", schedule, _said(_near(plain, SCHEDULES), _EVERY))
    return SCHEDULES[plain]


def _parted(name: str) -> tuple[str, str | None]:
    for usual in sorted(SCHEDULES, key=len, reverse=True):
        if name.endswith(f"-{usual}"):
            return name.removesuffix(f"-{usual}"), SCHEDULES[usual]
    return name, None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().lower().replace("++", "pp"))


def _near_sampler(name: str) -> str | None:
    """Return our name of the nearest sampler, with its schedule where the name carries one."""
    words = name.split("-")
    for count in range(1, len(words)):
        own, schedule = _near("-".join(words[:count]), NAMES), _near("-".join(words[count:]), SCHEDULES)
        if own and schedule:
            return f"{own}-{schedule}" if schedule in POSSIBLE[own] else own
    return _near(name, NAMES)


def _near(name: str, usual: Mapping[str, str]) -> str | None:
    found = get_close_matches(name, usual, n=1, cutoff=_NEAR)
    return usual[found[0]] if found else None


def _said(near: str | None, known: Iterable[str]) -> str:
    names = ", ".join(sorted(known))
    return f"did you mean {near!r}? Known are {names}" if near else f"known are {names}"
