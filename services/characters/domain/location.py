"""A location: a place where scenes play, with or without a photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

from continuity.kernel.values import Change, ObjectRef


@dataclass(frozen=True)
class Location:
    """``name_key`` is None once deleted: no scene may play there any more, and the name is free."""

    id: str
    name: str
    name_key: str | None
    type: str
    description: str
    time_of_day: str
    weather: str
    version: int
    create_time: float
    update_time: float
    picture: ObjectRef | None = None
    deleted: bool = False


@dataclass(frozen=True)
class LocationSaved:
    """A location was made or changed."""

    location: Location


@dataclass(frozen=True)
class LocationDeleted:
    """Nobody plays in this location any more."""

    location_id: str
    version: int


def saved(location: Location) -> Change[Location]:
    """Tell of a location as it is now."""
    return Change(location, [LocationSaved(location=location)])


def changed(current: Location, wanted: Location) -> Change[Location] | None:
    """Become ``wanted`` at the next version; None when nothing differs."""
    same = replace(wanted, version=current.version, create_time=current.create_time, update_time=current.update_time)
    if same == current:
        return None
    return saved(replace(wanted, version=current.version + 1, create_time=current.create_time))


def removed(location: Location, now: float) -> Change[Location] | None:
    """Take the location away; None when it is gone already."""
    if location.deleted:
        return None
    gone = replace(location, name_key=None, deleted=True, version=location.version + 1, update_time=now)
    return Change(gone, [LocationDeleted(location_id=gone.id, version=gone.version)])
