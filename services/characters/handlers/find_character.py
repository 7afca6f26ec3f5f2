"""Find, list and watch characters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from continuity.kernel.looks import Patience
from services.characters.domain.character import INGESTED, Character
from services.characters.domain.errors import CharacterMissing
from services.characters.handlers.ports import Characters

WATCH = Patience(first_s=0.1, longest_s=1.0, limit_s=600.0)
"""How a watch waits for the next change: answers take a second, or long."""


@dataclass(frozen=True)
class FindCharacter:
    """Finds a living character by id or name; an id is never taken for another one's name."""

    characters: Characters
    patience: Patience = WATCH

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
        """Yield the character now and after every change, until it is READY or has not changed for ten minutes.

        Raises ``CharacterMissing``, also when it is deleted meanwhile.
        """
        seen, looks = -1, 0
        while True:
            character = await self(project, id)
            if character.version != seen:
                seen, looks = character.version, 0
                yield character
            pause_s = self.patience.pause_s(looks)
            if character.state != INGESTED or not pause_s:
                return
            await asyncio.sleep(pause_s)
            looks += 1
