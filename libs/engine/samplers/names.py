"""What samplers and schedules are called, here and elsewhere, and which of them go together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    "k-euler": "euler",
    "k-euler-a": "euler-ancestral",
    "k-euler-ancestral": "euler-ancestral",
    "k-heun": "heun",
    "k-dpmpp-2m": "dpmpp-2m",
    "k-dpmpp-2m-sde": "dpmpp-2m-sde",
    "k-dpmpp-sde": "dpmpp-sde",
    "uni-pc": "unipc",
}
"""Our names by the usual ones, written small, with hyphens, "++" as "pp": "DPM++ 2M" stands under ``dpmpp-2m``."""

SCHEDULES: Mapping[str, str] = {
    **{name: name for name in _EVERY},
    "uniform": "normal",
    "trailing": "sgm-uniform",
}
"""Our names by the usual ones. ``normal`` takes the timesteps as the checkpoint's own scheduler spaces them."""


def chosen(sampler: str, schedule: str | None = None) -> tuple[str, str]:
    """Return our names of a sampler and a schedule; None stands for the usual schedule of that sampler.

    A sampler's name may carry its schedule ("DPM++ 2M Karras"), which then counts. Raises ``Refused``.
    """
    name, carried = _parted(_plain(sampler))
    if name not in NAMES:
        raise Refused("sampler", sampler, _known(name, NAMES, POSSIBLE))
    own = NAMES[name]
    wanted = carried or (default_schedule(own) if schedule is None else _schedule(schedule))
    if wanted not in POSSIBLE[own]:
        raise Refused("schedule", wanted, f"{own} knows {', '.join(POSSIBLE[own])}")
    return own, wanted


def default_schedule(sampler: str) -> str:
    """Return the schedule that a sampler, by our name, is usually run with."""
    return POSSIBLE[sampler][0]


def _schedule(schedule: str) -> str:
    plain = _plain(schedule)
    if plain not in SCHEDULES:
        raise Refused("schedule", schedule, _known(plain, SCHEDULES, _EVERY))
    return SCHEDULES[plain]


def _parted(name: str) -> tuple[str, str | None]:
    for usual, own in SCHEDULES.items():
        if name.endswith(f"-{usual}"):
            return name.removesuffix(f"-{usual}"), own
    return name, None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().lower().replace("++", "pp"))


def _known(name: str, usual: Mapping[str, str], known: Sequence[str] | Mapping[str, object]) -> str:
    nearest = get_close_matches(name, usual, n=1, cutoff=0.0)[0]
    return f"did you mean {usual[nearest]!r}? Known are {', '.join(sorted(known))}"
