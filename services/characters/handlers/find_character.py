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
    """Finds a living character by id or name."""

    characters: Characters

    async def __call__(self, project: str, id_or_name: str) -> Character:
        """Return the character. Raises ``CharacterMissing``."""
        named = await self.characters.named(project, id_or_name)
        if named is not None:
            return named
        found = await self.characters.get(project, id_or_name)
        if found.deleted:
            raise CharacterMissing(id=id_or_name)
        return found

    async def watch(self, project: str, id: str) -> AsyncIterator[Character]:
        """Yield the character now and after every change, until it is READY or deleted, for ten minutes at most."""
        seen = -1
        async with asyncio.timeout(WATCH_LIMIT_S):
            while True:
                character = await self(project, id)
                if character.version != seen:
                    seen = character.version
                    yield character
                if character.state != INGESTED:
                    return
                await asyncio.sleep(WATCH_INTERVAL_S)
