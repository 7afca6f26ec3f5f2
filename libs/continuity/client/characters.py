"""Characters: people known by a photograph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from continuity.api.characters.v1.character_pb2 import CHARACTER_STATE_READY, Character
from continuity.api.characters.v1.character_service_pb2 import (
    CreateCharacterRequest,
    DeleteCharacterRequest,
    GetCharacterRequest,
    GetCharacterResponse,
    ListCharactersRequest,
    WatchCharacterRequest,
)
from continuity.api.characters.v1.character_service_pb2_grpc import CharacterServiceStub
from continuity.client.errors import CharacterGone, CharacterNotReady
from continuity.client.transport import Transport
from continuity.kernel.ids import new_id

READY_TIMEOUT_S = 300.0


class Characters:
    """The characters of a project. Every method raises ``CallFailed``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = CharacterServiceStub(transport.channel)

    async def create(
        self,
        name: str,
        photo: bytes,
        *,
        keep_background: bool = False,
        description: str = "",
        height_m: float = 0.0,
        request_id: str = "",
    ) -> Character:
        """Make a character from a photograph; it is READY later.

        The same ``request_id`` with the same content returns the same character. Without one, the call makes up its
        own, so that its repetitions make one character.
        """
        request = CreateCharacterRequest(
            name=name,
            photo=photo,
            keep_background=keep_background,
            description=description,
            height_m=height_m,
            request_id=request_id or new_id(),
        )
        return (await self._transport.unary(self._stub.CreateCharacter, request, repeatable=True)).character

    async def find(self, id: str) -> GetCharacterResponse:
        """Return the character of this id or name, and the address of its image."""
        request = GetCharacterRequest(id=id)
        return await self._transport.unary(self._stub.GetCharacter, request, repeatable=True)

    async def get(self, id: str) -> Character:
        """Return the character of this id or name."""
        return (await self.find(id)).character

    async def list(self, *, page_size: int = 0) -> AsyncIterator[Character]:
        """Yield all characters, ordered by id."""
        request = ListCharactersRequest(page_size=page_size)
        while True:
            page = await self._transport.unary(self._stub.ListCharacters, request, repeatable=True)
            for character in page.characters:
                yield character
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(self, id: str) -> AsyncIterator[Character]:
        """Yield the character now and after every change, until it is READY or deleted."""
        async for response in self._transport.follow(self._stub.WatchCharacter, WatchCharacterRequest(id=id)):
            yield response.character

    async def until_ready(self, id: str, *, timeout_s: float = READY_TIMEOUT_S) -> Character:
        """Wait for the character to be READY. Raises ``CharacterGone`` and ``CharacterNotReady`` besides."""
        try:
            async with asyncio.timeout(timeout_s):
                async for character in self.watch(id):
                    if character.state == CHARACTER_STATE_READY:
                        return character
        except TimeoutError:
            raise CharacterNotReady(character_id=id, timeout_s=timeout_s) from None
        raise CharacterGone(character_id=id)

    async def delete(self, id: str) -> None:
        """Delete the character of this id or name.

        It is called once only: a repetition could meet another character that has taken the name.
        """
        await self._transport.unary(self._stub.DeleteCharacter, DeleteCharacterRequest(id=id), repeatable=False)
