"""What the use cases need."""

from __future__ import annotations

from typing import Protocol

from continuity.kernel.values import Change, ObjectRef
from services.matting.domain.matte import MatteRecord


class Mattes(Protocol):
    """The answers that were given."""

    async def add(self, project: str, change: Change[MatteRecord]) -> None:
        """Write an answer; nothing happens when this version of the character has one."""
        ...

    async def tell_again(self, project: str, character_id: str, version: int, picture: ObjectRef) -> bool:
        """Tell the answer to this version of the character once more; False when there is none."""
        ...

    async def latest(self, project: str, character_id: str) -> MatteRecord:
        """Return the newest answer for a character. Raises ``MatteMissing``."""
        ...


class Matter(Protocol):
    """Cuts figures out."""

    async def cut_out(self, picture: bytes) -> bytes:
        """Return the figure of an upright picture (PNG) as a PNG with straight alpha. Raises ``NoFigureFound``."""
        ...


class Pictures(Protocol):
    """Reads photographs and stores figures."""

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        ...

    async def store(self, project: str, data: bytes) -> ObjectRef:
        """Store a PNG under its hash."""
        ...
