"""A character: a photograph, what was seen in it, and the figure that stands for it in the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.values import Change, Failure, ObjectRef

INGESTED = "ingested"
READY = "ready"
DELETED = "deleted"

DEFAULT_HEIGHT_M = 1.70


@dataclass(frozen=True)
class Character:
    """``analysis`` is the vision service's message, only passed on. ``name_key`` is None once deleted."""

    id: str
    name: str
    name_key: str | None
    description: str
    height_m: float
    state: str
    version: int
    photo: ObjectRef
    picture: ObjectRef
    picture_width_px: int
    picture_height_px: int
    keep_background: bool
    intake_notes: tuple[str, ...]
    content_hash: str
    create_time: float
    update_time: float
    ingested_version: int = 1
    figure: ObjectRef | None = None
    figure_source: str = ""
    matting_failure: Failure | None = None
    analysis: str | None = None
    analysis_failure: Failure | None = None

    @property
    def deleted(self) -> bool:
        """Whether nobody may cast it any more."""
        return self.state == DELETED


@dataclass(frozen=True)
class CharacterIngested:
    """A photograph is stored; vision and matting take it up."""

    character_id: str
    version: int
    name: str
    picture: ObjectRef
    keep_background: bool


@dataclass(frozen=True)
class CharacterReady:
    """Analysis and matte have both answered."""

    character: Character


@dataclass(frozen=True)
class CharacterDeleted:
    """Nobody casts this character any more."""

    character_id: str
    version: int


def ingested(character: Character) -> Change[Character]:
    """Tell of a new photograph."""
    event = CharacterIngested(
        character_id=character.id,
        version=character.version,
        name=character.name,
        picture=character.picture,
        keep_background=character.keep_background,
    )
    return Change(character, [event])


def matted(character: Character, matte: ObjectRef, background_kept: bool, now: float) -> Change[Character] | None:
    """Take the matte as the figure; None when a figure stands already."""
    if character.figure is not None or character.deleted:
        return None
    source = "background-kept" if background_kept else "matte"
    return _answered(replace(character, figure=matte, figure_source=source), now)


def matting_failed(character: Character, failure: Failure, now: float) -> Change[Character] | None:
    """Fall back to the photograph and say why."""
    if character.figure is not None or character.deleted:
        return None
    fallen_back = replace(character, figure=character.picture, figure_source="fallback", matting_failure=failure)
    return _answered(fallen_back, now)


def analyzed(character: Character, analysis: str, now: float) -> Change[Character] | None:
    """Keep what was seen."""
    if _has_analysis(character) or character.deleted:
        return None
    return _answered(replace(character, analysis=analysis), now)


def analysis_failed(character: Character, failure: Failure, now: float) -> Change[Character] | None:
    """Go on without an analysis and say why."""
    if _has_analysis(character) or character.deleted:
        return None
    return _answered(replace(character, analysis_failure=failure), now)


def deleted(character: Character, now: float) -> Change[Character] | None:
    """Take the character out of the cast; its name is free again. None when it is deleted already."""
    if character.deleted:
        return None
    gone = replace(character, state=DELETED, name_key=None, version=character.version + 1, update_time=now)
    return Change(gone, [CharacterDeleted(character_id=gone.id, version=gone.version)])


def _has_analysis(character: Character) -> bool:
    return character.analysis is not None or character.analysis_failure is not None


def _answered(character: Character, now: float) -> Change[Character]:
    """Become READY when both services have answered."""
    changed = replace(character, version=character.version + 1, update_time=now)
    if changed.figure is None or not _has_analysis(changed):
        return Change(changed)
    ready = replace(changed, state=READY)
    return Change(ready, [CharacterReady(character=ready)])
