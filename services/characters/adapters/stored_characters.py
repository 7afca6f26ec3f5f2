"""Characters in the document store."""

from __future__ import annotations

from collections.abc import Callable

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, equal, one_of
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.characters.domain.character import INGESTED, READY, Character
from services.characters.domain.errors import CharacterMissing, CharacterNameTaken
from services.characters.domain.names import name_key

PHOTO, PICTURE = "photo.key", "picture.key"
CHARACTERS = Collection("characters", unique=(("name_key",),), indexes=((PHOTO,), (PICTURE,)), listings=((),))


class StoredCharacters:
    """The ``Characters`` port."""

    def __init__(self, aggregates: Aggregates[Character]) -> None:
        self._aggregates = aggregates

    async def get(self, project: str, id: str) -> Character:
        """Return a character by id. Raises ``CharacterMissing``."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            raise CharacterMissing(id=id) from None

    async def named(self, project: str, name: str) -> Character | None:
        """Return the character that has the name, if one has."""
        found, _ = await self._aggregates.page([equal("name_key", name_key(name))], project=project, limit=1)
        return found[0].aggregate if found else None

    async def add(self, project: str, change: Change[Character]) -> None:
        """Write a new character. Raises ``CharacterNameTaken``."""
        try:
            await self._aggregates.add(project, change.aggregate.id, change)
        except DocumentExists as error:
            raise CharacterNameTaken(name=change.aggregate.name, id=error.id) from None

    async def change(self, project: str, id: str, decide: Callable[[Character], Change[Character] | None]) -> Character:
        """Change a character by a decision. Raises ``CharacterMissing`` and ``CharacterNameTaken``."""
        try:
            return await self._aggregates.change(project, id, decide)
        except DocumentMissing:
            raise CharacterMissing(id=id) from None
        except DocumentExists:
            current = await self.get(project, id)
            raise CharacterNameTaken(name=current.name, id=id) from None

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Character], str]:
        """Return living characters by id, and the token of the next page."""
        living = [one_of("state", (INGESTED, READY))]
        found, next_token = await self._aggregates.page(living, project=project, limit=limit, token=token)
        return [stored.aggregate for stored in found], next_token
