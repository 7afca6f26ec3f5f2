"""Bodies as JSON text: what can't be written is refused before it reaches a store."""

from __future__ import annotations

import json

from pydantic_core import to_json

from continuity.documents.port import Body, Collection, DocumentTooLarge

_PLAIN = frozenset((str, int, float, bool, type(None)))

BODY_LIMIT_BYTES = 12_000_000
"""MongoDB's own limit is 16 MiB for the whole document; the rest is for its inbox and outbox."""


def body_text(collection: Collection, id: str, body: Body) -> str:
    """Return the body as JSON. Raises ``DocumentTooLarge``, and ``ValueError`` for what JSON can't hold."""
    if not _is_json(body):
        raise ValueError(f"{collection.name} {id!r} has a body with what JSON does not know")
    text = to_json(body, inf_nan_mode="constants")
    if len(text) > BODY_LIMIT_BYTES:
        raise too_large(collection, id, len(text))
    if b"NaN" in text or b"Infinity" in text:
        json.dumps(body, allow_nan=False)  # tells a number from a text that says so
    return text.decode()


def _is_json(value: object) -> bool:
    """Tell whether a value is one of JSON's: what writes it here takes dates, bytes and sets, too.

    Plain loops, for every write pays for them.
    """
    if not isinstance(value, dict | list | tuple):
        return isinstance(value, str | int | float)
    for each in value.values() if isinstance(value, dict) else value:
        if type(each) not in _PLAIN and not _is_json(each):
            return False
    return True


def too_large(collection: Collection, id: str, size_bytes: int) -> DocumentTooLarge:
    """Return the error for a body of this size."""
    return DocumentTooLarge(collection=collection.name, id=id, size_bytes=size_bytes, limit_bytes=BODY_LIMIT_BYTES)
