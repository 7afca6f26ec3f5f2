"""Whose weights a request may be drawn with."""

from __future__ import annotations

from typing import Protocol

from engine.errors import Refused
from engine.models.entry import Entry
from engine.request import RenderRequest

__all__ = ["FIELDS", "Entries", "permitted", "require_licence"]

FIELDS = {
    "checkpoint": "checkpoint",
    "lora": "loras",
    "ip-adapter": "references",
    "image-encoder": "references",
    "controlnet": "layout",
    "embedding": "prompt",
    "refiner": "refiner",
}
"""The request's field that a model of a kind stands in."""


class Entries(Protocol):
    """What is asked of the catalogue."""

    def entry(self, name: str) -> Entry:
        """Return the model of this name. Raises ``Refused`` with the nearest one where there is none."""
        ...

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all models, or those of one kind."""
        ...


def permitted(catalogue: Entries, name: str, kind: str, request: RenderRequest) -> Entry:
    """Look a model up for a request. Raises ``Refused`` where it is of another kind or not licensed for it."""
    entry = catalogue.entry(name)
    if entry.kind != kind:
        raise Refused(FIELDS[kind], name, f"it is of kind {entry.kind}, one of kind {kind} is wanted")
    require_licence(entry, request)
    return entry


def require_licence(entry: Entry, request: RenderRequest) -> None:
    """Raise ``Refused`` where a commercial project asks for weights whose licence forbids that."""
    if request.commercial and not entry.commercial:
        limit = f"its licence ({entry.licence or 'unknown'}) forbids commercial use and the project is commercial"
        raise Refused(FIELDS.get(entry.kind, entry.kind), entry.name, limit)
