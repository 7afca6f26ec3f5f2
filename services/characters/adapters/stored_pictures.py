"""Photographs in the object store, under their hash."""

from __future__ import annotations

from continuity.kernel.values import ObjectRef
from continuity.objects.port import ObjectStore, put_content

FOLDER = "characters"


class StoredPictures:
    """The ``Pictures`` port."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def store(self, project: str, data: bytes, content_type: str) -> ObjectRef:
        """Store bytes under their hash; the same bytes again are the same object."""
        return await put_content(self._objects, project, FOLDER, data, content_type=content_type)
