"""The conventions of cinematography, as numbers: how each shot type, angle and composition frames its figures."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Framing:
    """How a shot type is framed in 16:9; fractions are of the frame's height or width.

    ``off_centre`` says how far the composition may push the subject from the middle (0 not at all, 1 wholly);
    ``most_figures`` how many can be seen; ``spacing_m`` how far apart figures stand.
    """

    head: float
    eye_line: float
    lens_mm: float
    f_number: float
    off_centre: float
    most_figures: int
    spacing_m: float


FRAMINGS = {
    "extreme-close-up": Framing(1.25, 0.37, 100.0, 2.8, 0.25, 1, 0.5),
    "close-up": Framing(0.58, 0.375, 85.0, 2.0, 0.5, 1, 0.5),
    "medium-close-up": Framing(0.38, 0.33, 75.0, 2.0, 0.75, 2, 0.46),
    "medium": Framing(0.255, 0.285, 50.0, 2.2, 0.9, 3, 0.62),
    "cowboy": Framing(0.18, 0.215, 40.0, 2.8, 1.0, 4, 0.72),
    "full": Framing(0.114, 0.135, 35.0, 4.0, 1.0, 6, 0.9),
    "wide": Framing(0.07, 0.40, 28.0, 5.6, 1.0, 8, 1.0),
    "extreme-wide": Framing(0.03, 0.58, 21.0, 8.0, 1.0, 8, 1.1),
    "establishing": Framing(0.024, 0.62, 20.0, 8.0, 0.9, 8, 1.1),
    "over-the-shoulder": Framing(0.25, 0.34, 50.0, 2.2, 1.0, 2, 1.0),
    "two-shot": Framing(0.26, 0.33, 50.0, 2.8, 0.0, 8, 0.56),
    "pov": Framing(0.24, 0.35, 32.0, 2.8, 0.5, 1, 0.6),
    "insert": Framing(0.42, 0.0, 35.0, 2.0, 0.0, 1, 0.5),
}

HEAD_RANGES = {
    "extreme-close-up": (1.0, 2.0),
    "close-up": (0.55, 0.65),
    "medium-close-up": (0.35, 0.42),
    "medium": (0.22, 0.28),
    "cowboy": (0.16, 0.20),
    "full": (0.11, 0.12),
    "wide": (0.05, 0.08),
    "extreme-wide": (0.0, 0.03),
    "establishing": (0.0, 0.03),
    "over-the-shoulder": (0.22, 0.28),
    "two-shot": (0.16, 0.28),
    "pov": (0.20, 0.28),
}
"""Head height over frame height that each shot type allows."""

TILTS = {
    "eye-level": 0.0,
    "high-angle": math.radians(-20),
    "low-angle": math.radians(15),
    "dutch": 0.0,
    "overhead": math.radians(-48),
    "worms-eye": math.radians(30),
}
"""Tilt of the camera (up is positive), in radians."""

DUTCH_ROLL = math.radians(11)
LENS_FACTORS = {"worms-eye": 0.7, "overhead": 0.85, "low-angle": 0.85}
"""Steep angles are shot wider: perspective is what they are for."""

SUBJECT_COLUMNS = {
    "rule-of-thirds": 1 / 3,
    "golden-ratio": 0.382,
    "centered": 0.5,
    "symmetrical": 0.5,
    "leading-lines": 0.42,
    "framed": 0.5,
}
"""Where the subject's eyes stand across the frame when they look to the right (mirrored when to the left)."""
