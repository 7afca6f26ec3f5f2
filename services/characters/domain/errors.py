"""What can be wrong with a request about characters and locations."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Absent, ContinuityError, Exists


@dataclass(eq=False)
class CharacterMissing(Absent):
    """No character of this project has the id or name."""

    template = "there is no character {id!r}"
    id: str


@dataclass(eq=False)
class CharacterNameTaken(Exists):
    """Another character of this project has the name."""

    template = "name: a character {name!r} exists already ({id})"
    name: str
    id: str


@dataclass(eq=False)
class RequestReused(Exists):
    """The request_id was used before with other content."""

    template = "request_id: {request_id!r} was used before with other content"
    request_id: str


@dataclass(eq=False)
class AnswerMissing(ContinuityError):
    """A service never answered for a photograph, however often it was asked."""

    template = "{service} did not answer within {limit_s:.0f} s"
    service: str
    limit_s: float


@dataclass(eq=False)
class LocationMissing(Absent):
    """No location of this project has the id or name."""

    template = "there is no location {id!r}"
    id: str
