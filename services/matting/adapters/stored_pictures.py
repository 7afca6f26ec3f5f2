"""Photographs and figures in the object store."""

from __future__ import annotations

from continuity.kernel.values import ObjectRef
from continuity.objects.port import ObjectStore, put_content

FOLDER = "mattes"


class StoredPictures:
    """The ``Pictures`` port."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        return await self._objects.get(key)

    async def store(self, project: str, data: bytes) -> ObjectRef:
        """Store a PNG under its hash."""
        return await put_content(self._objects, project, FOLDER, data, content_type="image/png", suffix=".png")
