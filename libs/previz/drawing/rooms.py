"""Interior sets as data: what each kind of room is made of and where its things stand.

A room is open towards the audience; the figures stand at the origin, its things behind and beside them, so that every
camera sees the same window, lamp and door from its own side.
"""

from __future__ import annotations

from previz.drawing.room import Block, Fixture, Room
from previz.spec import LocationSpec
from previz.words import first_named

_OAK, _WALNUT, _STEEL, _DARK = (150.0, 112, 76), (96.0, 66, 46), (112.0, 120, 126), (48.0, 50, 56)
_RAILS = tuple(float(z) for z in (-8, -5.4, -2.8))

_OFFICE = Room(
    4.2,
    4.6,
    3.1,
    (198, 184, 158),
    None,
    "boards",
    (134, 100, 70),
    (206, 202, 194),
    (
        *(Fixture("left", "window", z, 0.95, 1.5, 1.65) for z in (*_RAILS, -0.2, 2.4)),
        Fixture("back", "door", 2.7, 0.0, 0.95, 2.1),
        Fixture("back", "board", -0.7, 1.05, 2.5, 1.2),
        Fixture("right", "picture", 1.0, 1.3, 1.0, 0.75),
        Fixture("right", "picture", 3.0, 1.35, 0.7, 0.9),
        Fixture("right", "door", -4.2, 0.0, 0.95, 2.1),
    ),
    (
        Block(-0.9, 3.3, 1.9, 0.8, 0.74, _WALNUT, "drawers"),
        Block(-1.35, 3.3, 0.55, 0.06, 0.4, _DARK, "screen", 0.78),
        Block(-2.9, 4.35, 1.1, 0.4, 2.0, _OAK, "books"),
        Block(3.85, 2.2, 0.6, 1.5, 1.25, _STEEL, "drawers"),
        Block(-0.35, 3.25, 0.3, 0.22, 0.1, (206, 196, 170), "plain", 0.74),
        Block(3.8, -3.0, 0.7, 1.4, 0.8, _OAK, "drawers"),
    ),
    ((-3.2, 1.62, 2.9),),
    "floor",
)
_LIVING = Room(
    4.3,
    4.8,
    2.9,
    (190, 164, 134),
    (118, 98, 80),
    "boards",
    (118, 82, 56),
    (212, 204, 192),
    (
        *(Fixture("left", "window", z, 0.6, 1.3, 1.9) for z in (-6.0, -3.4, -0.6, 2.2)),
        Fixture("back", "picture", -0.4, 1.4, 1.5, 0.95),
        Fixture("back", "picture", 1.2, 1.5, 0.6, 0.75),
        Fixture("back", "door", 3.0, 0.0, 0.95, 2.1),
        Fixture("right", "picture", 1.6, 1.4, 0.9, 0.7),
    ),
    (
        Block(-0.5, 4.0, 2.3, 0.95, 0.44, (92, 104, 108)),
        Block(-0.5, 4.5, 2.3, 0.25, 0.85, (84, 96, 100)),
        Block(-1.75, 4.0, 0.22, 0.95, 0.62, (78, 90, 94)),
        Block(0.75, 4.0, 0.22, 0.95, 0.62, (78, 90, 94)),
        Block(4.0, 2.4, 0.45, 2.0, 2.0, _WALNUT, "books"),
        Block(3.9, -2.5, 0.6, 1.6, 0.8, _OAK, "drawers"),
        Block(1.4, 4.4, 0.5, 0.5, 0.55, _OAK),
    ),
    ((-2.5, 1.6, 3.9), (1.4, 1.02, 4.4)),
    "floor",
)
_KITCHEN = Room(
    3.9,
    4.2,
    2.8,
    (196, 194, 180),
    (150, 176, 172),
    "tiles",
    (176, 168, 152),
    (222, 218, 208),
    (
        *(Fixture("left", "window", z, 1.0, 1.4, 1.2) for z in (-5.6, -2.8, 0.0, 2.3)),
        Fixture("back", "window", -0.6, 1.15, 1.5, 1.05),
        Fixture("right", "door", 0.6, 0.0, 0.95, 2.1),
        Fixture("back", "shelf", 1.7, 1.5, 1.6, 0.7),
    ),
    (
        Block(-0.8, 3.85, 4.2, 0.65, 0.9, (122, 140, 134), "drawers"),
        Block(2.2, 3.85, 1.6, 0.65, 0.9, (122, 140, 134), "oven"),
        Block(3.45, 3.8, 0.75, 0.75, 1.9, (208, 208, 202), "plain"),
        Block(-2.4, 3.98, 1.2, 0.36, 0.7, (122, 140, 134), "drawers", 1.5),
        Block(3.55, -2.6, 0.6, 2.4, 0.9, (122, 140, 134), "drawers"),
    ),
    ((0.3, 1.95, 2.3),),
    "pendant",
)
_CORRIDOR = Room(
    2.0,
    13.0,
    2.8,
    (158, 164, 162),
    (104, 118, 120),
    "tiles",
    (134, 138, 136),
    (186, 190, 188),
    (
        *(Fixture("left", "door", z, 0.0, 0.95, 2.1) for z in (-8.0, -4.0, 1.4, 5.4, 9.4)),
        *(Fixture("right", "door", z, 0.0, 0.95, 2.1) for z in (-6.0, -2.0, 3.4, 7.4, 11.4)),
        *(Fixture("left", "picture", z, 1.35, 0.6, 0.75) for z in (-2.0, 3.4, 7.4)),
        Fixture("back", "window", 0.0, 0.3, 1.5, 2.1),
    ),
    (Block(1.8, 1.6, 0.35, 1.4, 0.46, _OAK), Block(-1.85, 3.4, 0.25, 0.9, 0.8, _STEEL, "drawers")),
    tuple((0.0, 2.72, z) for z in (-6.0, -2.5, 1.0, 4.5, 8.0, 11.5)),
    "strip",
    (0.92, 0.98, 1.0),
)
_CONTROL = Room(
    6.0,
    6.4,
    4.4,
    (66, 74, 84),
    (46, 52, 62),
    "tiles",
    (70, 74, 80),
    (44, 48, 54),
    (
        Fixture("back", "screen", 0.0, 1.75, 4.2, 2.1),
        Fixture("back", "screen", -4.1, 1.95, 2.6, 1.6),
        Fixture("back", "screen", 4.1, 1.95, 2.6, 1.6),
        Fixture("back", "clock", -2.5, 3.95, 0.7, 0.28),
        Fixture("back", "clock", 2.5, 3.95, 0.7, 0.28),
        *(Fixture("left", "screen", z, 1.8, 1.9, 1.2) for z in (-4.6, -1.8, 1.2, 4.2)),
        *(Fixture("right", "panel", z, 0.7, 2.2, 1.9) for z in (-5.4, -2.4, 0.6)),
        Fixture("right", "door", 4.4, 0.0, 1.0, 2.2),
    ),
    (
        *(Block(x, 5.0, 1.7, 0.8, 1.05, (88, 96, 106), "console") for x in (-4.4, -2.3, 2.3, 4.4)),
        *(Block(x, 3.0, 1.8, 0.85, 0.98, (96, 104, 114), "console") for x in (-3.5, -1.2, 1.2, 3.5)),
        *(Block(x, 2.75, 0.62, 0.1, 0.42, (40, 44, 52), "screen", 1.0) for x in (-3.5, -1.2, 1.2, 3.5)),
        Block(-5.6, 1.5, 0.7, 3.6, 1.9, (70, 78, 88), "console"),
        Block(5.65, -1.0, 0.6, 4.2, 0.9, (70, 78, 88), "console"),
    ),
    tuple((x, 4.3, z) for z in (-5.0, -1.0, 3.0) for x in (-2.6, 2.6)),
    "strip",
    (0.80, 0.92, 1.0),
)
_LIBRARY = Room(
    4.4,
    5.2,
    3.8,
    (136, 108, 84),
    (84, 58, 42),
    "boards",
    (104, 68, 46),
    (150, 128, 104),
    (
        *(Fixture("left", "window", z, 1.0, 1.2, 2.3) for z in (-6.0, -3.4, -0.6, 2.4)),
        Fixture("back", "door", 0.4, 0.0, 1.1, 2.3),
        Fixture("back", "picture", 0.4, 2.55, 0.9, 0.7),
    ),
    (
        Block(-2.7, 5.0, 2.6, 0.4, 2.9, _WALNUT, "books"),
        Block(2.9, 5.0, 2.4, 0.4, 2.9, _WALNUT, "books"),
        *(Block(4.2, z, 0.4, 2.3, 2.9, _WALNUT, "books") for z in (-5.5, -3.0, -0.5, 2.0, 4.3)),
        Block(-1.4, 3.2, 1.7, 0.85, 0.76, _OAK, "drawers"),
        Block(-1.6, 3.2, 0.34, 0.26, 0.14, (130, 60, 52), "plain", 0.76),
    ),
    ((-2.2, 1.7, 3.4), (1.6, 1.9, 4.8)),
    "floor",
)
_LABORATORY = Room(
    4.6,
    5.0,
    3.1,
    (190, 198, 198),
    None,
    "tiles",
    (178, 186, 186),
    (222, 226, 226),
    (
        *(Fixture("left", "window", z, 1.1, 1.7, 1.3) for z in (-5.6, -2.8, 0.0, 2.6)),
        Fixture("back", "board", 1.1, 1.2, 2.4, 1.2),
        Fixture("back", "shelf", -2.3, 1.45, 2.2, 0.9),
        Fixture("right", "door", 2.8, 0.0, 1.0, 2.1),
        Fixture("right", "panel", 0.2, 1.0, 1.8, 1.2),
    ),
    (
        Block(-1.8, 4.6, 3.6, 0.7, 0.92, (208, 212, 210), "drawers"),
        Block(0.9, 3.2, 2.2, 0.8, 0.92, (196, 202, 204), "drawers"),
        Block(4.25, -1.5, 0.65, 3.4, 0.92, (208, 212, 210), "drawers"),
        Block(0.4, 3.2, 0.5, 0.35, 0.45, _DARK, "screen", 0.92),
        Block(3.2, 4.6, 0.9, 0.7, 1.95, (168, 176, 178), "panel"),
        Block(-2.6, 4.5, 0.4, 0.4, 0.5, _STEEL, "panel", 0.92),
    ),
    tuple((x, 3.02, z) for z in (-5.0, -1.0, 3.0) for x in (-1.8, 1.8)),
    "strip",
    (0.95, 1.0, 1.0),
)
_HANGAR = Room(
    9.0,
    15.0,
    8.0,
    (112, 118, 120),
    (86, 92, 96),
    "concrete",
    (118, 116, 110),
    (66, 70, 74),
    (
        Fixture("back", "gate", 0.0, 0.0, 8.0, 6.2),
        *(Fixture("left", "window", z, 4.2, 3.0, 1.6) for z in (-6.0, -1.0, 4.0, 9.0)),
        *(Fixture("right", "panel", z, 0.6, 2.6, 2.2) for z in (-4.0, 2.0, 8.0)),
    ),
    (
        Block(-5.2, 8.0, 3.0, 2.4, 1.6, (126, 104, 66), "panel"),
        Block(-4.6, 7.6, 1.2, 1.2, 1.1, (118, 98, 64), "plain", 1.6),
        Block(5.4, 9.0, 3.6, 2.6, 2.6, (88, 106, 114), "panel"),
        Block(7.6, 1.5, 1.6, 3.6, 1.3, (140, 92, 56), "drawers"),
        Block(-8.2, 1.5, 1.2, 4.0, 2.3, (92, 100, 106), "books"),
    ),
    tuple((x, 7.4, z) for z in (-4.0, 3.0, 10.0) for x in (-4.0, 4.0)),
    "pendant",
    (1.0, 0.90, 0.74),
)

_STUDIO = Room(
    half_width=7.0,
    back=6.0,
    height=5.0,
    wall=(158, 156, 152),
    wainscot=None,
    floor="plain",
    floor_colour=(146, 144, 140),
    ceiling=(70, 70, 70),
    fixtures=(),
    blocks=(),
    lamps=((-3.0, 4.8, -1.0), (2.5, 4.8, -2.0), (0.0, 4.8, 3.5)),
    lamp_kind="strip",
    lamp_colour=(1.0, 0.97, 0.92),
)

_BY_WORD = (
    (("studio", "backdrop"), _STUDIO),
    (("office", "bureau"), _OFFICE),
    (("control", "mission", "bridge", "cockpit", "command", "server", "spaceship", "spacecraft", "computer"), _CONTROL),
    (("corridor", "hallway", "hall", "tunnel", "passage"), _CORRIDOR),
    (("kitchen", "diner", "cafe", "café", "restaurant", "bar"), _KITCHEN),
    (("library", "archive", "study", "bookshop", "museum"), _LIBRARY),
    (("laboratory", "lab", "hospital", "clinic", "surgery"), _LABORATORY),
    (("hangar", "warehouse", "garage", "workshop", "factory", "barn"), _HANGAR),
    (("living", "bedroom", "apartment", "flat", "house", "hotel", "lounge", "home"), _LIVING),
)


def room_of(location: LocationSpec) -> Room:
    """The room that the place's words ask for; else an office."""
    return first_named(location, _BY_WORD, _OFFICE)
