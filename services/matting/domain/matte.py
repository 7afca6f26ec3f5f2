"""The figure cut out of a photograph, or the reason why it is not."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.values import Change, Failure, ObjectRef


@dataclass(frozen=True)
class CharacterMatted:
    """The figure of a character is there."""

    character_id: str
    matte: ObjectRef
    background_kept: bool


@dataclass(frozen=True)
class CharacterMattingFailed:
    """The figure could not be cut out."""

    character_id: str
    failure: Failure


@dataclass(frozen=True)
class MatteRecord:
    """The one answer to one version of a character."""

    character_id: str
    version: int
    matte: ObjectRef | None
    failure: Failure | None


def cut_out(character_id: str, version: int, matte: ObjectRef) -> Change[MatteRecord]:
    """Record a matte."""
    return answered(MatteRecord(character_id, version, matte, None), matte)


def kept(character_id: str, version: int, picture: ObjectRef) -> Change[MatteRecord]:
    """Record that the picture stays as it is, because its background was to be kept."""
    return answered(MatteRecord(character_id, version, None, None), picture)


def not_cut_out(character_id: str, version: int, failure: Failure) -> Change[MatteRecord]:
    """Record why there is no matte."""
    record = MatteRecord(character_id, version, None, failure)
    return Change(record, [CharacterMattingFailed(character_id, failure)])


def answered(record: MatteRecord, picture: ObjectRef) -> Change[MatteRecord]:
    """Tell of an answer, for the first time or again; the ``picture`` is the figure where its background was kept."""
    if record.failure is not None:
        return Change(record, [CharacterMattingFailed(record.character_id, record.failure)])
    figure, background_kept = record.matte or picture, record.matte is None
    return Change(record, [CharacterMatted(record.character_id, figure, background_kept)])
