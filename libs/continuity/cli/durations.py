"""Lengths of time as people write them."""

from __future__ import annotations

import re

import typer

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
SHORTEST_S, LONGEST_S = 1, 7 * 86_400


def seconds(written: str) -> float:
    """Return the seconds of ``90s``, ``30m``, ``2h`` or ``1d``. Raises ``typer.BadParameter`` beyond 1s to 7d."""
    found = _WRITTEN.fullmatch(written.strip())
    length_s = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not SHORTEST_S <= length_s <= LONGEST_S:
        raise typer.BadParameter(f"{written!r} is no time from 1s to 7d, such as 90s, 30m, 2h or 1d")
    return length_s
