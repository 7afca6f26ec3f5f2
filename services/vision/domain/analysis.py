"""What was seen in a photograph, measured and in words. What could not be seen is "unknown", with confidence 0."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.values import Change, Failure

UNKNOWN = "unknown"


@dataclass(frozen=True)
class NormalizedBox:
    """A rectangle in fractions of the picture, origin top left."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Trait:
    """A named colour; ``hex`` is ``#rrggbb`` or empty, ``confidence`` 0 to 1."""

    name: str = UNKNOWN
    hex: str = ""
    confidence: float = 0.0


@dataclass(frozen=True)
class Swatch:
    """A named colour and its share of the region, 0 to 1."""

    name: str
    hex: str
    share: float


@dataclass(frozen=True)
class Light:
    """How the subject is lit; ``brightness`` is mean luminance, 0 to 1."""

    direction: str = UNKNOWN
    quality: str = UNKNOWN
    temperature: str = UNKNOWN
    brightness: float = 0.0


@dataclass(frozen=True)
class Observations:
    """What was measured in the pixels; ``facing`` is None where it cannot be told."""

    face_box: NormalizedBox | None
    facing: float | None
    people_count: int
    skin: Trait
    hair: Trait
    hair_length: str
    clothing: tuple[Swatch, ...]
    framing: str
    light: Light


@dataclass(frozen=True)
class PhysicalAppearance:
    """The body in words."""

    face: str
    body: str
    hair: str
    skin: str


@dataclass(frozen=True)
class ClothingStyle:
    """The clothes in words."""

    outfit: str
    accessories: str
    colors: tuple[str, ...]


@dataclass(frozen=True)
class RosterEntry:
    """A description for story and video generation."""

    name: str
    physical_appearance: PhysicalAppearance
    clothing_style: ClothingStyle
    personality: str
    video_prompt_description: str


@dataclass(frozen=True)
class Analysis:
    """Words and measurements, and what made them."""

    characters_roster: tuple[RosterEntry, ...]
    observations: Observations
    analyzer: str


@dataclass(frozen=True)
class CharacterAnalyzed:
    """A photograph was looked at."""

    character_id: str
    analysis: Analysis


@dataclass(frozen=True)
class CharacterAnalysisFailed:
    """A photograph could not be looked at."""

    character_id: str
    failure: Failure


@dataclass(frozen=True)
class AnalysisRecord:
    """The one answer to one version of a character: an analysis or the reason why there is none."""

    character_id: str
    version: int
    analysis: Analysis | None
    failure: Failure | None


def seen(character_id: str, version: int, analysis: Analysis) -> Change[AnalysisRecord]:
    """Record what was seen."""
    return answered(AnalysisRecord(character_id, version, analysis, None))


def not_seen(character_id: str, version: int, failure: Failure) -> Change[AnalysisRecord]:
    """Record why nothing was seen."""
    return answered(AnalysisRecord(character_id, version, None, failure))


def answered(record: AnalysisRecord) -> Change[AnalysisRecord]:
    """Tell of an answer, for the first time or again."""
    if record.analysis is not None:
        return Change(record, [CharacterAnalyzed(record.character_id, record.analysis)])
    return Change(record, [CharacterAnalysisFailed(record.character_id, record.failure or Failure("UNKNOWN", ""))])
