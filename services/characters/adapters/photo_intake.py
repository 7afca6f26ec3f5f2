"""Photographs made safe, in the CPU pool."""

from __future__ import annotations

from continuity.compute.pool import CpuPool
from continuity.security.images import PhotoLimits, encode_png, read_photo
from services.characters.handlers.ports import Picture

MAX_PHOTO_BYTES = 25 * 1024 * 1024
"""What the proto allows too; it leaves room in a 32 MiB message."""


class PooledPhotoIntake:
    """The ``PhotoIntake`` port."""

    def __init__(self, pool: CpuPool) -> None:
        self._pool = pool

    async def warm(self) -> None:
        """Let a worker import what reading takes, so that the first bad photograph is refused as fast as the next."""
        await self._pool.run(_ready)

    async def read(self, photo: bytes) -> Picture:
        """Return the photograph made safe. Raises ``Invalid`` errors that name field, value and limit."""
        return await self._pool.run(_read, photo)


def _ready() -> None:
    """Importing this module was the work."""


def _read(photo: bytes) -> Picture:
    made = read_photo(photo, PhotoLimits(max_bytes=MAX_PHOTO_BYTES))
    return Picture(
        png=encode_png(made.pixels),
        width_px=made.width_px,
        height_px=made.height_px,
        source_content_type=made.content_type,
        notes=made.notes,
    )
