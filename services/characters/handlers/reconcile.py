"""Ask again for answers about photographs that have not come, and go on without those that never will."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.looks import look_at_each
from continuity.kernel.values import Change
from services.characters.domain.character import Character, looked_at
from services.characters.handlers.ports import Characters, OwnedCharacter

INTERVAL_S = 5.0
BATCH = 500
"""Characters that one look takes on; what is left is the first to be due at the next."""


@dataclass(frozen=True)
class Reconcile:
    """Looks at what the documents say is due, so that any number of processes may look, at any time."""

    characters: Characters
    clock: Clock
    deadline_s: float

    async def run(self) -> None:
        """Look again every five seconds until cancelled."""
        while True:
            await self()
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        now = self.clock.now()
        waiting = await self.characters.unanswered(BATCH)
        await look_at_each([self._look(owned, now) for owned in waiting if owned.character.is_due(now)])

    async def _look(self, owned: OwnedCharacter, now: float) -> None:
        unpublished = await self.characters.has_unpublished(owned.project, owned.character.id)

        def look(character: Character) -> Change[Character] | None:
            return looked_at(character, now, self.deadline_s, unpublished=unpublished)

        await self.characters.change(owned.project, owned.character.id, look)
