"""Domain values and protobuf messages."""

from __future__ import annotations

from dataclasses import replace

from continuity.api.characters.v1 import character_pb2, character_service_pb2
from continuity.api.events.v1 import character_events_pb2, location_events_pb2
from continuity.api.locations.v1 import location_pb2, location_service_pb2
from continuity.messaging.codec import EventCodec, Publication
from continuity.wire.conversion import from_message, to_message
from services.characters.domain.character import Character, CharacterDeleted, CharacterIngested, CharacterReady
from services.characters.domain.location import Location, LocationDeleted, LocationSaved
from services.characters.handlers.create_character import NewCharacter
from services.characters.handlers.locations import LocationAsked

CHARACTER_TOPIC = "continuity.character.v1"
LOCATION_TOPIC = "continuity.location.v1"

CODEC = EventCodec(
    "characters",
    {
        CharacterIngested: Publication(
            CHARACTER_TOPIC, character_events_pb2.CharacterIngested, lambda event: event.character_id
        ),
        CharacterReady: Publication(
            CHARACTER_TOPIC, character_events_pb2.CharacterReady, lambda event: event.character.id
        ),
        CharacterDeleted: Publication(
            CHARACTER_TOPIC, character_events_pb2.CharacterDeleted, lambda event: event.character_id
        ),
        LocationSaved: Publication(LOCATION_TOPIC, location_events_pb2.LocationSaved, lambda event: event.location.id),
        LocationDeleted: Publication(
            LOCATION_TOPIC, location_events_pb2.LocationDeleted, lambda event: event.location_id
        ),
    },
)


def character_message(character: Character) -> character_pb2.Character:
    """Return the character as its resource message."""
    return to_message(character, character_pb2.Character)


def location_message(location: Location) -> location_pb2.Location:
    """Return the location as its resource message."""
    return to_message(location, location_pb2.Location)


def new_character(project: str, request: character_service_pb2.CreateCharacterRequest) -> NewCharacter:
    """Return what a CreateCharacter call asks for."""
    asked = from_message(request, NewCharacter)
    return replace(asked, project=project)


def location_asked(project: str, request: location_service_pb2.SaveLocationRequest) -> LocationAsked:
    """Return what a SaveLocation call asks for."""
    asked = from_message(request, LocationAsked)
    return replace(asked, project=project)
