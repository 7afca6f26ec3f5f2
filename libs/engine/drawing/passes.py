"""What a request is drawn in: one pass, and another on the enlarged picture where that is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import Refused
from engine.request import RenderRequest
from engine.samplers import steps_taken
from engine.shapes import MEGAPIXEL, ShapeClass

__all__ = ["Pass", "passes", "seed_of"]

LARGEST_PX = 4 * MEGAPIXEL
"""The most that one pass draws; attention grows with the square of it."""
SEEDS = 2**32


@dataclass(frozen=True)
class Pass:
    """``strength`` None starts from noise alone, otherwise from a picture of which it keeps 1 - strength."""

    shape: ShapeClass
    steps: int
    strength: float | None


def passes(request: RenderRequest, shape: ShapeClass) -> tuple[Pass, ...]:
    """Return the passes of a request whose class is ``shape``. Raises ``Refused`` for one that would take no step."""
    first = Pass(shape, request.steps, _strength(request))
    if request.hires is None:
        return (first,)
    fix = request.hires
    grid = 64 if shape.width_px * shape.height_px >= MEGAPIXEL // 4 else 16
    width, height = (round(side * fix.scale / grid) * grid for side in (shape.width_px, shape.height_px))
    if width * height > LARGEST_PX:
        raise Refused("hires.scale", fix.scale, f"{shape.width_px}x{shape.height_px} grows to 4 megapixels at most")
    enlarged = replace(shape, width_px=width, height_px=height)
    steps = fix.steps or request.steps
    steps_taken(steps, fix.strength, "hires.strength")
    return first, Pass(enlarged, steps, fix.strength)


def seed_of(request: RenderRequest, index: int) -> int:
    """Return the seed of an image of the request."""
    return (request.seed + index) % SEEDS


def _strength(request: RenderRequest) -> float | None:
    guide = None if request.layout is None or request.layout.is_network else request.layout
    if request.has_image and guide:
        raise Refused("layout.kind", guide.kind, "beside an image the layout guides by a ControlNet, or not at all")
    if request.has_image:
        steps_taken(request.steps, request.strength)
        return request.strength
    if guide is None:
        return None
    steps_taken(request.steps, 1.0 - guide.scale, "layout.scale", guide.scale)
    return 1.0 - guide.scale
