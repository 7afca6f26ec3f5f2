"""Drawing a request without anybody to decide whose turn it is: what scheduling is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.drawing.drawer import Drawer
from engine.work import Finished, Picture

if TYPE_CHECKING:
    from engine.preparation import Prepared

__all__ = ["reference_loop"]


def reference_loop(drawer: Drawer, prepared: Prepared) -> list[Picture]:
    """Run all units of a request one after another; return its pictures. Raises what a unit ends with."""
    work = drawer.begin(prepared)
    pictures: list[Picture] = []
    is_finished = False
    try:
        while not is_finished:
            (outcome,) = drawer.run([work])
            if isinstance(outcome, Exception):
                raise outcome
            pictures += [each for each in outcome if isinstance(each, Picture)]
            is_finished = any(isinstance(each, Finished) for each in outcome)
    finally:
        work.close()
    return pictures
