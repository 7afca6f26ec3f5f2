"""Exterior sets as data: ground, distant silhouettes and the things that stand about."""

from __future__ import annotations

from dataclasses import dataclass

from previz.drawing.canvas import Rgb
from previz.spec import LocationSpec
from previz.words import first_named


@dataclass(frozen=True)
class Silhouette:
    """A line of hills, roofs or tree tops at a distance; ``height_m`` is its mean height there."""

    kind: str
    distance_m: float
    height_m: float
    colour: Rgb


@dataclass(frozen=True)
class Prop:
    """A thing that stands on the ground: a flat card that faces the camera, or (``building``) a block."""

    kind: str
    x: float
    z: float
    width: float
    height: float


@dataclass(frozen=True)
class Landscape:
    """An exterior set."""

    ground: Rgb
    second_ground: Rgb
    surface: str
    silhouettes: tuple[Silhouette, ...]
    props: tuple[Prop, ...]


_TREES = tuple(
    Prop("tree", x, z, h * 0.8, h)
    for x, z, h in (
        (-7.5, 9, 6.2),
        (-12, 16, 8),
        (9, 12, 7.4),
        (14.5, 20, 8.6),
        (-20, 30, 9),
        (4.6, 26, 7),
        (-3.5, 34, 8),
        (24, 36, 10),
        (-33, 44, 11),
    )
)
_PINES = tuple(
    Prop("pine", x, z, h * 0.46, h)
    for x, z, h in (
        (-4.4, 7, 9),
        (5.2, 8.5, 11),
        (-8.5, 11, 12),
        (10, 14, 13),
        (1.8, 17, 11),
        (-3, 20, 13),
        (-13, 21, 15),
        (7, 24, 14),
        (16, 26, 15),
        (-7, 30, 15),
        (2, 34, 16),
        (-20, 33, 17),
        (23, 38, 17),
        (12, 40, 16),
    )
)

_PAD = Landscape(
    (150, 144, 134),
    (132, 127, 118),
    "concrete",
    (Silhouette("hills", 2600, 34, (88, 100, 92)), Silhouette("trees", 700, 11, (66, 80, 62))),
    (
        Prop("rocket", 21, 150, 10, 42),
        Prop("gantry", 32, 153, 12.5, 50),
        Prop("tank", -31, 74, 10, 12),
        Prop("tank", -45, 80, 10, 12),
        Prop("mast", -2, 158, 2.4, 46),
        Prop("mast", 58, 160, 2.4, 46),
        Prop("building", -34, 52, 16, 6),
        Prop("lamp", -8, 20, 1.2, 7),
        Prop("lamp", 12, 26, 1.2, 7),
        Prop("fence", -9, 30, 18, 2.2),
        Prop("fence", 27, 34, 18, 2.2),
    ),
)
_CITY = Landscape(
    (92, 92, 94),
    (112, 110, 106),
    "asphalt",
    (Silhouette("skyline", 900, 90, (104, 112, 124)), Silhouette("skyline", 380, 48, (84, 90, 100))),
    (
        *(
            Prop("building", side * (12 + (i % 2)), 9 + i * 13, 12, 11 + (i * 7 + (3 if side > 0 else 0)) % 12)
            for i in range(5)
            for side in (-1, 1)
        ),
        *(Prop("lamp", side * 4.9, 6 + i * 12, 1.2, 6) for i in range(4) for side in (-1, 1)),
        Prop("tree", 5.6, 11, 3.2, 4.6),
        Prop("tree", -5.7, 17, 3.4, 5),
    ),
)
_FOREST = Landscape(
    (84, 92, 58),
    (70, 66, 46),
    "grass",
    (Silhouette("hills", 1600, 120, (92, 112, 112)), Silhouette("trees", 90, 15, (46, 62, 48))),
    _PINES,
)
_DESERT = Landscape(
    (206, 170, 122),
    (186, 146, 100),
    "sand",
    (Silhouette("mesas", 2400, 190, (176, 128, 104)), Silhouette("hills", 420, 16, (196, 152, 108))),
    (
        Prop("rock", -7, 14, 4.4, 2.2),
        Prop("rock", 11, 22, 7, 3.6),
        Prop("rock", 3.4, 11, 1.4, 0.6),
        Prop("rock", -18, 36, 12, 6),
    ),
)
_SHORE = Landscape(
    (204, 184, 148),
    (186, 164, 128),
    "shore",
    (Silhouette("hills", 5200, 120, (118, 136, 150)),),
    (Prop("rock", -8, 9, 3.4, 1.5), Prop("rock", -10.5, 10.5, 2.6, 2.1), Prop("rock", 12, 11, 2.2, 0.9)),
)
_MOUNTAINS = Landscape(
    (112, 116, 82),
    (120, 112, 94),
    "grass",
    (
        Silhouette("peaks", 5200, 1150, (128, 140, 160)),
        Silhouette("peaks", 2400, 380, (92, 106, 112)),
        Silhouette("trees", 240, 15, (56, 72, 58)),
    ),
    (Prop("rock", -6, 10, 3.2, 1.6), Prop("rock", 9, 17, 4.4, 2.1), *_PINES[2:5], *_PINES[8:]),
)
_FIELDS = Landscape(
    (116, 126, 66),
    (142, 134, 78),
    "grass",
    (Silhouette("hills", 2200, 110, (112, 130, 124)), Silhouette("trees", 260, 12, (70, 88, 60))),
    _TREES,
)

_BY_WORD = (
    (("launch", "pad", "rocket", "spaceport", "airfield", "runway", "airport", "base"), _PAD),
    (("city", "street", "town", "alley", "square", "rooftop", "downtown", "road", "plaza", "urban"), _CITY),
    (("forest", "wood", "woods", "jungle"), _FOREST),
    (("desert", "dune", "dunes", "canyon", "mars"), _DESERT),
    (("beach", "sea", "coast", "ocean", "shore", "lake", "harbour", "harbor", "island"), _SHORE),
    (("park", "garden", "meadow", "field", "fields", "farm"), _FIELDS),
    (("mountain", "mountains", "alps", "peak", "cliff", "valley"), _MOUNTAINS),
)


def landscape_of(location: LocationSpec) -> Landscape:
    """The landscape that the place's words ask for; else fields with trees."""
    return first_named(location, _BY_WORD, _FIELDS)
