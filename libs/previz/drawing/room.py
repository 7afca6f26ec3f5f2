"""What an interior set is made of: walls, things on them, boxes that stand about, lamps."""

from __future__ import annotations

from dataclasses import dataclass

from previz.drawing.canvas import Rgb

NEAR_END_M = -12.0
"""Where side walls, floor and ceiling end: behind every camera."""


@dataclass(frozen=True)
class Fixture:
    """Something flat on a wall; ``along`` is the x (back wall) or z (side walls) of its middle. Metres."""

    wall: str
    kind: str
    along: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class Block:
    """A box-shaped thing; ``x``, ``z`` are the middle of its footprint, ``base`` its height above the floor. Metres."""

    x: float
    z: float
    width: float
    depth: float
    height: float
    colour: Rgb
    front: str = "plain"
    base: float = 0.0


@dataclass(frozen=True)
class Room:
    """A set. ``lamps`` are positions of light bulbs, ``lamp_kind`` how they look: floor, pendant, strip or none."""

    half_width: float
    back: float
    height: float
    wall: Rgb
    wainscot: Rgb | None
    floor: str
    floor_colour: Rgb
    ceiling: Rgb
    fixtures: tuple[Fixture, ...]
    blocks: tuple[Block, ...]
    lamps: tuple[tuple[float, float, float], ...]
    lamp_kind: str
    lamp_colour: Rgb = (1.0, 0.74, 0.45)
