"""Observations in words: only what was measured, "unknown" for the rest."""

from __future__ import annotations

from services.vision.domain.analysis import (
    UNKNOWN,
    ClothingStyle,
    Observations,
    PhysicalAppearance,
    RosterEntry,
)

MAIN_COLOURS = 2


def roster_entry(name: str, seen: Observations) -> RosterEntry:
    """Describe the subject of a photograph."""
    colors = tuple(swatch.name for swatch in seen.clothing)
    skin = _known(seen.skin.name, "{} skin")
    hair = _hair(seen)
    outfit = _outfit(colors)
    return RosterEntry(
        name=name,
        physical_appearance=PhysicalAppearance(face=_face(seen), body=UNKNOWN, hair=hair, skin=skin),
        clothing_style=ClothingStyle(outfit=outfit, accessories=UNKNOWN, colors=colors),
        personality=UNKNOWN,
        video_prompt_description=_sentence(name, [hair, skin, outfit]),
    )


def _face(seen: Observations) -> str:
    if seen.face_box is None:
        return "absent"
    if seen.facing is None:
        return UNKNOWN
    if abs(seen.facing) < 0.25:
        return "turned to the camera"
    return f"turned to screen {'left' if seen.facing < 0 else 'right'}"


def _hair(seen: Observations) -> str:
    if seen.hair.name == UNKNOWN:
        return UNKNOWN
    length = "" if seen.hair_length == UNKNOWN else f"{seen.hair_length} "
    return f"{length}{seen.hair.name} hair"


def _outfit(colors: tuple[str, ...]) -> str:
    main = list(dict.fromkeys(colors))[:MAIN_COLOURS]
    return f"{' and '.join(main)} clothing" if main else UNKNOWN


def _known(value: str, phrase: str) -> str:
    return UNKNOWN if value == UNKNOWN else phrase.format(value)


def _sentence(name: str, parts: list[str]) -> str:
    known = [part for part in parts if part != UNKNOWN]
    return f"{name}, {', '.join(known)}" if known else name
