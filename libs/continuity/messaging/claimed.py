"""A held event while one process works on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from continuity.documents.port import DocumentMissing, VersionConflict
from continuity.messaging.held_event import HeldEvent
from continuity.messaging.held_store import HeldStore

CLAIM_S = 30.0
"""How long the claim of a replica that died keeps others from its events."""


class Claimed:
    """A held event that this process alone works on, for as long as it renews its claim."""

    def __init__(self, store: HeldStore, held: HeldEvent, version: int) -> None:
        self.held = held
        self._store = store
        self._version = version
        self._token = held.claim

    async def save(self, **changes: Any) -> bool:
        """Write changes; false, and nothing written, when it is somebody else's by now."""
        return await self.become(replace(self.held, **changes))

    async def become(self, held: HeldEvent) -> bool:
        """Write it anew; false, and nothing written, when it is somebody else's by now, or was given back."""
        if self.held.claim != self._token:
            return False
        for _ in range(2):  # a renewal that was cancelled may have been written all the same
            try:
                await self._store.replace(held, self._version)
            except VersionConflict:
                if not await self._still_ours():
                    return False
            except DocumentMissing:
                return False
            else:
                self.held = held
                self._version += 1
                return True
        return False

    async def _still_ours(self) -> bool:
        found = await self._store.find(self.held.id)
        if found is None:
            return False
        current, self._version = found
        return current.claim == self._token
