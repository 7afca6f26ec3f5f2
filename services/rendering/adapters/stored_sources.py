"""Uploaded pictures that shots begin with, in the object store; a document for each that a shot has named."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass, replace

from continuity.compute.pool import CpuPool
from continuity.documents.port import Collection, DocumentExists, DocumentMissing
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from continuity.objects.port import ObjectMissing, ObjectStore, sha256_of
from continuity.security.image_errors import InvalidPhoto
from continuity.security.images import PhotoLimits, encode_png, read_photo
from services.rendering.handlers.ports import SourcePicture

SOURCES = Collection("sources", indexes=(("key",),))
FOLDER = "sources"
LIMITS = PhotoLimits(max_bytes=25 * 1024 * 1024)
"""Those of a character's photograph; what is kept has at most 2048 px at its longer side, no more than is drawn."""
_SIZE_AT = 16
"""Where a PNG says its width and height: behind the signature, and length and kind of its first chunk."""


@dataclass(frozen=True)
class KeptSource:
    """A picture that shots have named; it stays for as long as this says where it lies."""

    key: str
    width_px: int
    height_px: int


class StoredSources:
    """The ``Sources`` port."""

    def __init__(self, objects: ObjectStore, pool: CpuPool, kept: Aggregates[KeptSource]) -> None:
        self._objects = objects
        self._pool = pool
        self._kept = kept

    async def take(self, project: str, picture: bytes) -> SourcePicture:
        """Store a picture made safe, which goes again unless it is kept. Raises ``InvalidPhoto``."""
        png = await self._pool.run(_made_safe, picture)
        return await self._put(project, png)

    async def keep(self, project: str, sha256: str) -> SourcePicture | None:
        """Keep a picture from now on; None when there is none."""
        try:
            kept = await self._kept.get(project, sha256)
            return SourcePicture(sha256, kept.width_px, kept.height_px)
        except DocumentMissing:
            return await self._keep_first(project, sha256)

    async def _keep_first(self, project: str, sha256: str) -> SourcePicture | None:
        key = source_key(project, sha256)
        try:
            # Put again, it is new to whoever is about to remove it because of its age.
            found = await self._put(project, await self._objects.get(key))
        except ObjectMissing:
            return None
        with suppress(DocumentExists):
            await self._kept.add(project, sha256, Change(KeptSource(key, found.width_px, found.height_px)))
        return found

    async def _put(self, project: str, png: bytes) -> SourcePicture:
        sha256 = sha256_of(png)
        await self._objects.put(source_key(project, sha256), png, "image/png")
        width_px, height_px = struct.unpack_from(">II", png, _SIZE_AT)
        return SourcePicture(sha256, width_px, height_px)


def source_key(project: str, sha256: str) -> str:
    """Return where an uploaded picture lies."""
    return f"{project}/{FOLDER}/{sha256}.png"


def _made_safe(picture: bytes) -> bytes:
    try:
        return encode_png(read_photo(picture, LIMITS).pixels)
    except InvalidPhoto as error:
        raise replace(error, field="picture") from None
