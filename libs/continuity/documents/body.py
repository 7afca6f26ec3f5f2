"""Bodies as JSON text: what can't be written is refused before it reaches a store."""

from __future__ import annotations

import json

from continuity.documents.port import Body, Collection, DocumentTooLarge

BODY_LIMIT_BYTES = 12_000_000
"""MongoDB's own limit is 16 MiB for the whole document; the rest is for its inbox and outbox."""


def body_text(collection: Collection, id: str, body: Body) -> str:
    """Return the body as JSON. Raises ``DocumentTooLarge``, and ``ValueError`` for what JSON can't hold."""
    text = json.dumps(body, allow_nan=False, ensure_ascii=False)
    size = len(text.encode())
    if size > BODY_LIMIT_BYTES:
        raise too_large(collection, id, size)
    return text


def too_large(collection: Collection, id: str, size_bytes: int) -> DocumentTooLarge:
    """Return the error for a body of this size."""
    return DocumentTooLarge(collection=collection.name, id=id, size_bytes=size_bytes, limit_bytes=BODY_LIMIT_BYTES)
