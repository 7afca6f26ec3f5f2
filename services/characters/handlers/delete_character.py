"""Take a character out of the cast."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.clock import Clock
from services.characters.domain.character import deleted
from services.characters.handlers.find_character import FindCharacter
from services.characters.handlers.ports import Characters


@dataclass(frozen=True)
class DeleteCharacter:
    """Deletes by id or name; jobs that have frozen the character go on."""

    characters: Characters
    find: FindCharacter
    clock: Clock

    async def __call__(self, project: str, id_or_name: str) -> None:
        """Delete the character. Raises ``CharacterMissing``."""
        character = await self.find(project, id_or_name)
        await self.characters.change(project, character.id, lambda current: deleted(current, self.clock.now()))
