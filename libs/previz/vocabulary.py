"""The words that a frame's specification may use."""

from __future__ import annotations

SHOT_TYPES = (
    "extreme-close-up",
    "close-up",
    "medium-close-up",
    "medium",
    "cowboy",
    "full",
    "wide",
    "extreme-wide",
    "establishing",
    "over-the-shoulder",
    "two-shot",
    "pov",
    "insert",
)
CAMERA_ANGLES = ("eye-level", "high-angle", "low-angle", "dutch", "overhead", "worms-eye")
COMPOSITIONS = ("rule-of-thirds", "centered", "symmetrical", "leading-lines", "framed", "golden-ratio")
TIMES_OF_DAY = ("dawn", "morning", "noon", "afternoon", "golden-hour", "dusk", "night")
WEATHERS = ("clear", "overcast", "rain", "fog", "snow", "storm")
LOCATION_TYPES = ("interior", "exterior")
