"""Find, list and watch characters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.characters.domain.character import INGESTED, Character
from services.characters.domain.errors import CharacterMissing
from services.characters.handlers.ports import Characters

WATCH_INTERVAL_S = 0.1
WATCH_LIMIT_S = 600.0


@dataclass(frozen=True)
class FindCharacter:
    """Finds a living character by id or name; an id is never taken for another one's name."""

    characters: Characters

    async def __call__(self, project: str, id_or_name: str) -> Character:
        """Return the character. Raises ``CharacterMissing``."""
        try:
            found: Character | None = await self.characters.get(project, id_or_name)
        except CharacterMissing:
            found = await self.characters.named(project, id_or_name)
        if found is None or found.deleted:
            raise CharacterMissing(id=id_or_name)
        return found

    async def watch(self, project: str, id: str) -> AsyncIterator[Character]:
        """Yield the character now and after every change, until it is READY, for ten minutes at most.

        Raises ``CharacterMissing``, also when it is deleted meanwhile.
        """
        seen = -1
        for _ in range(round(WATCH_LIMIT_S / WATCH_INTERVAL_S)):
            character = await self(project, id)
            if character.version != seen:
                seen = character.version
                yield character
            if character.state != INGESTED:
                return
            await asyncio.sleep(WATCH_INTERVAL_S)
