"""What the render service would refuse of a list, asked before anything of it is brought in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields

import grpc

from continuity.api.common.v1 import render_options_pb2 as pb
from continuity.api.rendering.v1.render_service_pb2 import CheckOptionsRequest
from continuity.cli.film.options import NOTHING, Sources, message, over
from continuity.cli.film.submission import Overrides, frame_size
from continuity.client import CallFailed, ContinuityClient
from continuity.client.shotlist import Draft, RenderOptions, Size
from continuity.client.shotlist.size import against_aspect, size_of
from continuity.client.shotlist.tree import plain

_LEFT_TO_SUBMITTING = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT)
"""Of a service that does not know the question, or takes less than our schema does."""
_NOT_UPLOADED: Sources = defaultdict(lambda: "0" * 64)


async def refusals(client: ContinuityClient, draft: Draft, overrides: Overrides) -> list[tuple[str, str]]:
    """Return each option that nothing could be drawn with and what is said of it, as ``Draft.complete`` takes them.

    Raises ``CallFailed``.
    """
    own = _against_aspect(draft, overrides.size)
    request = _request(draft, overrides)
    if request is None:
        return own
    try:
        refused = await client.shots.check_options(request)
    except CallFailed as failed:
        if failed.status in _LEFT_TO_SUBMITTING:
            return own
        raise
    given = set(_given(overrides.render))
    return own + [(_said_by(each.field, given), not_acceptable(each.value, each.limit)) for each in refused]


def not_acceptable(value: str, limit: str) -> str:
    """Return what is said of a value, which comes as text, at its place in the list."""
    shown = value if isinstance(plain(value), int | float) else repr(value)
    return f"{shown} is not acceptable; {limit}"


def _request(draft: Draft, overrides: Overrides) -> CheckOptionsRequest | None:
    """Return what to ask; None where neither the list nor the command line asks for anything."""
    film = over(draft.film_options(), overrides.render)
    shots = [None if own is None else over(own, overrides.render) for own in draft.shot_options()]
    if film is None and not any(shots):
        return None
    width_px, height_px = overrides.size or _size(draft) or frame_size(_aspect(draft))
    return CheckOptionsRequest(
        options=message(film, _NOT_UPLOADED),
        shots=[message(options, _NOT_UPLOADED) or pb.RenderOptions() for options in shots],
        width_px=width_px,
        height_px=height_px,
        commercial=overrides.commercial or draft.film.get("commercial") is True,
    )


def _against_aspect(draft: Draft, given: Size | None) -> list[tuple[str, str]]:
    """Return the refusal of a size of the command line that the film's aspect contradicts."""
    against = given and against_aspect(given, draft.film.get("aspect"))
    if not against:
        return []
    said, other = against
    return [("--size", f"{said}; {other} has that aspect" if other else said)]


def _size(draft: Draft) -> Size | None:
    written = draft.film.get("size")
    return size_of(written) if isinstance(written, str) else None


def _aspect(draft: Draft) -> str | None:
    is_wrong = any(flaw.steps == ("film", "aspect") for flaw in draft.flaws)
    return None if is_wrong else draft.film.get("aspect")


def _given(options: RenderOptions) -> Iterator[str]:
    return (each.name for each in fields(options) if getattr(options, each.name) != getattr(NOTHING, each.name))


def _said_by(field: str, given: set[str]) -> str:
    """Return the option of the command line where that has given the field, else the field."""
    name = field.rpartition("options.")[2]
    return f"--{name}" if name in given else field
