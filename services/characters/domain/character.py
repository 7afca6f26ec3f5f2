"""A character: a photograph, what was seen in it, and the figure that stands for it in the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.looks import Patience
from continuity.kernel.values import Change, Failure, ObjectRef
from services.characters.domain.errors import AnswerMissing

INGESTED = "ingested"
READY = "ready"
DELETED = "deleted"

DEFAULT_HEIGHT_M = 1.70

ANSWER_LOOK_S, LONGEST_LOOK_S = 60.0, 600.0
"""Matting takes a second; what was asked a minute ago waits in line, or is lost."""


@dataclass(frozen=True)
class Character:
    """``analysis`` is the vision service's message, only passed on. ``name_key`` is None once deleted.

    The reconciler looks at an INGESTED one at ``look_time``; it has looked ``looks`` times.
    """

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
    look_time: float | None = None
    looks: int = 0

    @property
    def deleted(self) -> bool:
        """Whether nobody may cast it any more."""
        return self.state == DELETED

    def is_due(self, now: float) -> bool:
        """Whether it is time to look for the answers: one without a time is of a version that did not look."""
        if self.state != INGESTED or self.look_time is None:
            return self.state == INGESTED
        return self.look_time <= now or self.look_time > now + 2 * LONGEST_LOOK_S  # a wrong clock wrote that


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
    """Tell of a photograph, for the first time or again."""
    event = CharacterIngested(
        character_id=character.id,
        version=character.ingested_version,
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
    return _answered(_fallen_back(character, failure), now)


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


def looked_at(
    character: Character, now: float, deadline_s: float, *, unpublished: bool = False
) -> Change[Character] | None:
    """Ask again for the answers that have not come, less and less often; go on without them after the deadline.

    None when it is not time, or nothing is missing. Who has answered answers the same again. While what was asked is
    still ``unpublished`` it is not asked again, and the deadline comes no nearer.
    """
    if not character.is_due(now):
        return None
    if unpublished:
        return Change(replace(character, look_time=now + ANSWER_LOOK_S))
    pause_s = Patience(ANSWER_LOOK_S, LONGEST_LOOK_S, deadline_s).pause_s(character.looks + 1)
    if not pause_s:
        return _answered(_without_answers(character, deadline_s), now)
    return ingested(replace(character, looks=character.looks + 1, look_time=now + pause_s))


def deleted(character: Character, now: float) -> Change[Character] | None:
    """Take the character out of the cast; its name is free again. None when it is deleted already."""
    if character.deleted:
        return None
    gone = replace(
        character, state=DELETED, name_key=None, version=character.version + 1, update_time=now, look_time=None
    )
    return Change(gone, [CharacterDeleted(character_id=gone.id, version=gone.version)])


def _has_analysis(character: Character) -> bool:
    return character.analysis is not None or character.analysis_failure is not None


def _fallen_back(character: Character, failure: Failure) -> Character:
    return replace(character, figure=character.picture, figure_source="fallback", matting_failure=failure)


def _without_answers(character: Character, limit_s: float) -> Character:
    """Return the character with the photograph and the reasons in place of what is missing."""
    if character.figure is None:
        character = _fallen_back(character, Failure.of(AnswerMissing(service="matting", limit_s=limit_s)))
    if not _has_analysis(character):
        reason = Failure.of(AnswerMissing(service="vision", limit_s=limit_s))
        character = replace(character, analysis_failure=reason)
    return character


def _answered(character: Character, now: float) -> Change[Character]:
    """Become READY when both services have answered."""
    changed = replace(character, version=character.version + 1, update_time=now)
    if changed.figure is None or not _has_analysis(changed):
        return Change(changed)
    ready = replace(changed, state=READY, look_time=None)
    return Change(ready, [CharacterReady(character=ready)])
