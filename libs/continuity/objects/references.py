"""Which objects the documents of a service refer to."""

from __future__ import annotations

from collections.abc import Sequence

from continuity.documents.port import Body, Collection, Documents, Json, one_of

BATCH = 100


class DocumentReferences:
    """Looks keys up in indexed fields; ``fields`` are collections and paths into their bodies, as ``picture.key``."""

    def __init__(self, documents: Documents, *fields: tuple[Collection, str]) -> None:
        self._documents = documents
        self._fields = fields

    async def __call__(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that a document holds. Raises ``DocumentsUnavailable``."""
        sought = set(keys)
        for collection, path in self._fields:
            for first in range(0, len(keys), BATCH):
                sought -= await self._held(collection, path, sought.intersection(keys[first : first + BATCH]))
        return set(keys) - sought

    async def _held(self, collection: Collection, path: str, keys: set[str]) -> set[str]:
        """Ask again for what a full page left out: many documents may hold one key."""
        held: set[str] = set()
        while sought := keys - held:
            page = await self._documents.page(collection, [one_of(path, sought)], project=None, limit=BATCH)
            held |= {_value(document.body, path) for document in page.documents}
            if not page.next_token:
                break
        return held


def _value(body: Body, path: str) -> Json:
    value: Json = body
    for name in path.split("."):
        value = value[name]
    return value
