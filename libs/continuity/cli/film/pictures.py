"""The pictures that a shot list names, looked at before anything of it is brought in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from continuity.cli.files import MAX_PHOTO_BYTES, read_photo
from continuity.client.shotlist import Draft
from continuity.client.shotlist.problems import Flaw, Steps, shown
from continuity.client.shotlist.references import entries, shots
from continuity.kernel.errors import Invalid

AT_ONCE = 2
"""How many are decoded together; the largest that is taken fills a quarter of a gigabyte."""


async def with_pictures_looked_at(draft: Draft) -> Draft:
    """Return the draft with each picture that would be refused among its flaws, once, where it is named first."""
    return replace(draft, flaws=(*draft.flaws, *await asyncio.to_thread(_flaws, draft)))


def _flaws(draft: Draft) -> list[Flaw]:
    wrong = {flaw.steps for flaw in draft.flaws}
    named: dict[Path, Steps] = {}
    for steps, name in _named(draft.tree.data):
        if isinstance(name, str) and name and steps not in wrong:
            named.setdefault(draft.path.parent / name, steps)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(_wrong, named)
    return [Flaw(steps, why) for steps, why in zip(named.values(), told, strict=True) if why]


def _named(data: Any) -> Iterator[tuple[Steps, Any]]:
    """Yield the steps to every picture, and what stands there."""
    for key in ("characters", "locations"):
        for steps, fields in entries(data, key):
            yield (*steps, "photo"), fields.get("photo")
    film = data.get("film") if isinstance(data, dict) else None
    for steps, holder in ((("film",), film), *((steps, shot) for steps, shot, _ in shots(data))):
        for name in ("image", "mask"):
            way: Steps = ("render", "source", name)
            yield (*steps, *way), _at(holder, way)


def _at(held: Any, way: Steps) -> Any:
    for step in way:
        held = held.get(step) if isinstance(held, dict) else None
    return held


def _wrong(path: Path) -> str:
    """Return why services would refuse the picture; empty where they would take it."""
    # OpenCV, which no other command needs, takes longer to import than they take to run.
    from continuity.security import images  # noqa: PLC0415

    try:
        images.read_photo(read_photo(path), images.PhotoLimits(max_bytes=MAX_PHOTO_BYTES))
    except Invalid as refused:
        return str(refused)
    except OSError as unusable:
        return f"{shown(path.name)} cannot be read: {unusable.strerror or unusable}"
    return ""
