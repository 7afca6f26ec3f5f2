"""Photographs in the object store."""

from __future__ import annotations

from continuity.objects.port import ObjectStore


class StoredPictures:
    """The ``Pictures`` port."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        return await self._objects.get(key)
