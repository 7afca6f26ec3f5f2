"""Lists that were rendered anew: which submission of theirs is the newest, so that a plain command answers with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from continuity import __version__
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.cli.files import write_atomically
from continuity.cli.settings import Settings
from continuity.kernel.ids import new_id

FOLDER = "renewed"


class Renewal:
    """The newest submission of one list with one cast, kept in the home beside what the embedded runtime keeps.

    Priority and time to live tell no list from another: they change no picture.
    """

    def __init__(self, settings: Settings, asked: SubmitShotsRequest, cast_content: str) -> None:
        self._asked = asked
        self._file = settings.home / FOLDER / _name(settings, asked, cast_content)

    def request(self, *, again: bool) -> SubmitShotsRequest:
        """Return what to hand in: with ``again`` a submission of its own, else the newest, else what is asked."""
        first = SubmitShotsRequest()
        first.CopyFrom(self._asked)
        if again:
            first.request_id = new_id()
        elif (newest := _read(self._file)) is not None:
            _forget(first)
            first.MergeFrom(newest)
        return first

    def keep(self, first: SubmitShotsRequest, note: Callable[[str], None]) -> None:
        """Remember the submission as the newest; what was handed in goes on also where that cannot be."""
        kept = SubmitShotsRequest(request_id=first.request_id, priority=first.priority)
        if first.HasField("time_to_live"):
            kept.time_to_live.CopyFrom(first.time_to_live)
        try:
            write_atomically(self._file, kept.SerializeToString())
        except OSError as unusable:
            why = f"{unusable.filename}: {unusable.strerror}"
            note(f"a plain render of this list will answer with an earlier submission ({why})")


def _name(settings: Settings, asked: SubmitShotsRequest, cast_content: str) -> str:
    drawn = SubmitShotsRequest()
    drawn.CopyFrom(asked)
    _forget(drawn)
    parts = [part.encode() for part in (__version__, settings.address, settings.project, cast_content)]
    return hashlib.sha256(b"\0".join([*parts, drawn.SerializeToString(deterministic=True)])).hexdigest()


def _forget(request: SubmitShotsRequest) -> None:
    """Take from the request what says when it is drawn, and as which submission."""
    for each in ("request_id", "priority", "time_to_live"):
        request.ClearField(each)


def _read(file: Path) -> SubmitShotsRequest | None:
    try:
        kept = SubmitShotsRequest.FromString(file.read_bytes())
    except (OSError, DecodeError):
        return None
    return kept if kept.request_id else None
