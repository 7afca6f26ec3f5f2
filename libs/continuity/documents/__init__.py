"""Documents: one port, an embedded SQLite store behind it."""

from continuity.documents.port import (
    Collection,
    Condition,
    Document,
    DocumentExists,
    DocumentMissing,
    Documents,
    DocumentsUnavailable,
    OutgoingEvent,
    Page,
    Ref,
    VersionConflict,
    at_most,
    equal,
    one_of,
)

__all__ = [
    "Collection",
    "Condition",
    "Document",
    "DocumentExists",
    "DocumentMissing",
    "Documents",
    "DocumentsUnavailable",
    "OutgoingEvent",
    "Page",
    "Ref",
    "VersionConflict",
    "at_most",
    "equal",
    "one_of",
]
