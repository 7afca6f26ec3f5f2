"""Whose weights a request may be drawn with."""

from __future__ import annotations

from typing import Protocol

from engine.errors import Refused
from engine.models.absent import FIELDS, of_another_kind
from engine.models.entry import Entry
from engine.models.terms import UNKNOWN, how_to_state
from engine.request import RenderRequest

__all__ = ["Entries", "permitted", "require_licence"]


class Entries(Protocol):
    """What is asked of the catalogue."""

    def entry(self, name: str, kind: str | None = None) -> Entry:
        """Return the model of this name. Raises ``Refused`` where there is none; ``kind`` is what was wanted."""
        ...

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all models, or those of one kind."""
        ...


def permitted(catalogue: Entries, name: str, kind: str, request: RenderRequest) -> Entry:
    """Look a model up for a request. Raises ``Refused`` where it is of another kind or not licensed for it."""
    entry = catalogue.entry(name, kind)
    if entry.kind != kind:
        raise of_another_kind(entry, kind, catalogue.entries(kind))
    require_licence(entry, request)
    return entry


def require_licence(entry: Entry, request: RenderRequest) -> None:
    """Raise ``Refused`` where a commercial project asks for weights whose licence forbids that."""
    if request.commercial and not entry.commercial:
        raise Refused(FIELDS.get(entry.kind, entry.kind), entry.name, _why(entry))


def _why(entry: Entry) -> str:
    if entry.licence in ("", UNKNOWN):
        return f"the project is commercial and the model's licence is unknown; to state it: {how_to_state(entry.name)}"
    return f"its licence ({entry.licence}) forbids commercial use and the project is commercial"
