"""Photographs in the object store, under their hash."""

from __future__ import annotations

from continuity.kernel.values import ObjectRef
from continuity.objects.port import ObjectStore, put_content

ADDRESS_S = 3600


class StoredPictures:
    """The ``Pictures`` port; each kind of picture has a folder."""

    def __init__(self, objects: ObjectStore, folder: str) -> None:
        self._objects = objects
        self._folder = folder

    async def store(self, project: str, data: bytes, content_type: str) -> ObjectRef:
        """Store bytes under their hash; the same bytes again are the same object."""
        return await put_content(self._objects, project, self._folder, data, content_type=content_type)

    def address(self, picture: ObjectRef) -> str:
        """Return where anybody may read a picture for an hour or longer; empty where nobody can."""
        return self._objects.address(picture.key, ADDRESS_S) or ""
