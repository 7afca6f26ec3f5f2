"""Characters in the document store."""

from __future__ import annotations

from collections.abc import Callable

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, equal, one_of
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.characters.domain.character import INGESTED, READY, Character
from services.characters.domain.errors import CharacterMissing, CharacterNameTaken
from services.characters.domain.names import name_key
from services.characters.handlers.ports import OwnedCharacter

PHOTO, PICTURE = "photo.key", "picture.key"
CHARACTERS = Collection(
    "characters",
    unique=(("name_key",),),
    indexes=(("state", "look_time"), (PHOTO,), (PICTURE,)),
    listings=((),),
)


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
        """Write a new character. Raises ``CharacterNameTaken``, with the id of who has the name."""
        try:
            await self._aggregates.add(project, change.aggregate.id, change)
        except DocumentExists:
            raise await self._taken(project, change.aggregate) from None

    async def change(self, project: str, id: str, decide: Callable[[Character], Change[Character] | None]) -> Character:
        """Change a character by a decision. Raises ``CharacterMissing`` and ``CharacterNameTaken``."""
        decided: Change[Character] | None = None

        def noted(current: Character) -> Change[Character] | None:
            nonlocal decided
            decided = decide(current)
            return decided

        try:
            return await self._aggregates.change(project, id, noted)
        except DocumentMissing:
            raise CharacterMissing(id=id) from None
        except DocumentExists:
            wanted = decided.aggregate if decided else await self.get(project, id)
            raise await self._taken(project, wanted) from None

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Character], str]:
        """Return living characters by id, and the token of the next page."""
        living = [one_of("state", (INGESTED, READY))]
        found, next_token = await self._aggregates.page(living, project=project, limit=limit, token=token)
        return [stored.aggregate for stored in found], next_token

    async def unanswered(self, limit: int) -> list[OwnedCharacter]:
        """Return characters of every project that are not READY, those to be looked at the soonest first."""
        found, _ = await self._aggregates.page(
            [equal("state", INGESTED)], project=None, order=["look_time"], limit=limit
        )
        return [OwnedCharacter(stored.project, stored.aggregate) for stored in found]

    async def has_unpublished(self, project: str, id: str) -> bool:
        """Tell whether events of a character wait to be published."""
        return await self._aggregates.has_unpublished(project, id)

    async def _taken(self, project: str, wanted: Character) -> CharacterNameTaken:
        """Return the refusal that names who was first; who has gone meanwhile cannot be named."""
        holder = await self.named(project, wanted.name)
        return CharacterNameTaken(name=wanted.name, id=holder.id if holder else wanted.id)
