"""gRPC calls ⇄ use cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from continuity.api.characters.v1 import character_service_pb2 as pb
from continuity.api.characters.v1 import character_service_pb2_grpc as pb_grpc
from continuity.api.locations.v1 import location_service_pb2 as location_pb
from continuity.api.locations.v1 import location_service_pb2_grpc as location_pb_grpc
from continuity.rpc.calls import current_project
from continuity.rpc.errors import Context
from services.characters.entrypoints.mapping import (
    character_message,
    location_asked,
    location_message,
    new_character,
)
from services.characters.handlers.address_image import AddressImage
from services.characters.handlers.create_character import CreateCharacter
from services.characters.handlers.delete_character import DeleteCharacter
from services.characters.handlers.find_character import FindCharacter
from services.characters.handlers.locations import DeleteLocation, FindLocation, SaveLocation
from services.characters.handlers.ports import Characters, Locations

DEFAULT_PAGE = 50


@dataclass(frozen=True)
class CharacterServicer(pb_grpc.CharacterServiceServicer):
    """``continuity.api.characters.v1.CharacterService``."""

    characters: Characters
    create: CreateCharacter
    find: FindCharacter
    delete: DeleteCharacter
    image_address: AddressImage

    async def CreateCharacter(self, request: pb.CreateCharacterRequest, context: Context) -> pb.CreateCharacterResponse:
        """Store a photograph as a new character."""
        character = await self.create(new_character(current_project(), request))
        return pb.CreateCharacterResponse(character=character_message(character))

    async def GetCharacter(self, request: pb.GetCharacterRequest, context: Context) -> pb.GetCharacterResponse:
        """Return one character."""
        character = await self.find(current_project(), request.id)
        return pb.GetCharacterResponse(character=character_message(character), image_url=self.image_address(character))

    async def ListCharacters(self, request: pb.ListCharactersRequest, context: Context) -> pb.ListCharactersResponse:
        """Return a page of characters."""
        limit = request.page_size or DEFAULT_PAGE
        found, token = await self.characters.page(current_project(), limit, request.page_token)
        return pb.ListCharactersResponse(characters=map(character_message, found), next_page_token=token)

    async def WatchCharacter(
        self, request: pb.WatchCharacterRequest, context: Context
    ) -> AsyncIterator[pb.WatchCharacterResponse]:
        """Stream a character until it is READY."""
        async for character in self.find.watch(current_project(), request.id):
            yield pb.WatchCharacterResponse(character=character_message(character))

    async def DeleteCharacter(self, request: pb.DeleteCharacterRequest, context: Context) -> pb.DeleteCharacterResponse:
        """Delete one character."""
        await self.delete(current_project(), request.id)
        return pb.DeleteCharacterResponse()


@dataclass(frozen=True)
class LocationServicer(location_pb_grpc.LocationServiceServicer):
    """``continuity.api.locations.v1.LocationService``."""

    locations: Locations
    save: SaveLocation
    find: FindLocation
    delete: DeleteLocation

    async def SaveLocation(
        self, request: location_pb.SaveLocationRequest, context: Context
    ) -> location_pb.SaveLocationResponse:
        """Make or change a location."""
        location = await self.save(location_asked(current_project(), request))
        return location_pb.SaveLocationResponse(location=location_message(location))

    async def GetLocation(
        self, request: location_pb.GetLocationRequest, context: Context
    ) -> location_pb.GetLocationResponse:
        """Return one location."""
        location = await self.find(current_project(), request.id)
        return location_pb.GetLocationResponse(location=location_message(location))

    async def ListLocations(
        self, request: location_pb.ListLocationsRequest, context: Context
    ) -> location_pb.ListLocationsResponse:
        """Return a page of locations."""
        limit = request.page_size or DEFAULT_PAGE
        found, token = await self.locations.page(current_project(), limit, request.page_token)
        return location_pb.ListLocationsResponse(locations=map(location_message, found), next_page_token=token)

    async def DeleteLocation(
        self, request: location_pb.DeleteLocationRequest, context: Context
    ) -> location_pb.DeleteLocationResponse:
        """Delete one location."""
        await self.delete(current_project(), request.id)
        return location_pb.DeleteLocationResponse()


def register(characters: CharacterServicer, locations: LocationServicer, server: grpc.aio.Server) -> None:
    """Add both services to a server."""
    pb_grpc.add_CharacterServiceServicer_to_server(characters, server)
    location_pb_grpc.add_LocationServiceServicer_to_server(locations, server)


RPC_NAMES = (
    pb.DESCRIPTOR.services_by_name["CharacterService"].full_name,
    location_pb.DESCRIPTOR.services_by_name["LocationService"].full_name,
)
