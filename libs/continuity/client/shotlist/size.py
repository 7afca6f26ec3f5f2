"""The size of a film's pictures, written as width x height in pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from continuity.client.shotlist.problems import Flaw, shown
from continuity.client.shotlist.schema import properties

SIDE_STEP_PX, MIN_SIDE_PX, MAX_SIDE_PX = 8, 256, 2048
SIDES = f"sides are multiples of {SIDE_STEP_PX} from {MIN_SIDE_PX} to {MAX_SIDE_PX} px"
NEAR = 1.02
"""How far a size may be off the film's aspect: less than 16:9 is from 1.85:1, more than steps of 8 px make of it."""
_WRITTEN = re.compile(r"([0-9]+)[x×]([0-9]+)")


class Size(NamedTuple):
    """Width and height in pixels."""

    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"


def size_of(written: str) -> Size | None:
    """Return the size that is ``written``; None where it is none, or none that can be drawn."""
    found = _WRITTEN.fullmatch(written)
    if found is None or len(written) > len(str(Size(MAX_SIDE_PX, MAX_SIDE_PX))):
        return None
    wanted = Size(int(found[1]), int(found[2]))
    return wanted if wanted == _drawable(*wanted) else None


def side(px: float) -> int:
    """Return the side nearest to ``px`` that a picture may have."""
    return min(max(SIDE_STEP_PX * round(px / SIDE_STEP_PX), MIN_SIDE_PX), MAX_SIDE_PX)


def proportion(aspect: str) -> float:
    """Return the width of ``width:height`` in heights."""
    wide, high = map(float, aspect.split(":"))
    return wide / high


def size_flaws(film: Any) -> Iterator[Flaw]:
    """Yield what is wrong with the size of a film whose ``size`` and ``aspect`` fit the schema."""
    written = film.get("size") if isinstance(film, dict) else None
    found = _WRITTEN.fullmatch(written) if isinstance(written, str) and _fits("size", written) else None
    if found is None:
        return
    wanted = Size(int(found[1]), int(found[2]))
    if wanted != (near := _drawable(*wanted)):
        yield Flaw(("film", "size"), f"{shown(written)}: {SIDES}", str(near))
    elif against := against_aspect(wanted, film.get("aspect")):
        yield Flaw(("film", "size"), *against)


def against_aspect(wanted: Size, aspect: Any) -> tuple[str, str | None] | None:
    """Return what contradicts a film's ``aspect`` and what would not; None where nothing does or the aspect is none."""
    if not isinstance(aspect, str) or not _fits("aspect", aspect) or _is_near(wanted, proportion(aspect)):
        return None
    said = f"{str(wanted)!r} is {wanted.width_px / wanted.height_px:.3g}:1, and film.aspect is {aspect!r}; give one"
    shape = proportion(aspect)
    others = (
        _drawable(wanted.width_px, wanted.width_px / shape),
        _drawable(wanted.height_px * shape, wanted.height_px),
    )
    return said, next((str(other) for other in others if _is_near(other, shape)), None)


def _is_near(size: Size, shape: float) -> bool:
    return 1 / NEAR <= size.width_px / size.height_px / shape <= NEAR


def _drawable(width_px: float, height_px: float) -> Size:
    return Size(side(width_px), side(height_px))


def _fits(field: str, written: str) -> bool:
    known = properties("film")[field]
    return len(written) <= known["maxLength"] and re.search(known["pattern"], written) is not None
