"""Wires the characters service."""

from __future__ import annotations

from functools import partial

from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.kernel.clock import SystemClock
from continuity.messaging.consumer import Consumer
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from services.characters.adapters.photo_intake import PooledPhotoIntake
from services.characters.adapters.stored_characters import CHARACTERS, StoredCharacters
from services.characters.adapters.stored_locations import LOCATIONS, StoredLocations
from services.characters.adapters.stored_pictures import StoredPictures
from services.characters.domain.character import Character
from services.characters.domain.location import Location
from services.characters.entrypoints.mapping import CODEC
from services.characters.entrypoints.servicer import RPC_NAMES, CharacterServicer, LocationServicer, register
from services.characters.entrypoints.subscribers import subscriptions
from services.characters.handlers.create_character import CreateCharacter
from services.characters.handlers.delete_character import DeleteCharacter
from services.characters.handlers.find_character import FindCharacter
from services.characters.handlers.locations import DeleteLocation, FindLocation, SaveLocation
from services.characters.handlers.take_answers import TakeAnswers
from services.characters.settings import Settings

COLLECTIONS = (CHARACTERS, LOCATIONS)


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    clock = SystemClock()
    bus = platform.bus("characters")
    relay = Relay(platform.documents, COLLECTIONS, bus, platform.backlog, clock)
    characters = StoredCharacters(Aggregates(Character, CHARACTERS, platform.documents, CODEC, relay))
    locations = StoredLocations(Aggregates(Location, LOCATIONS, platform.documents, CODEC, relay))
    intake = PooledPhotoIntake(platform.cpu)
    pictures = StoredPictures(platform.objects, "characters")
    places = StoredPictures(platform.objects, "locations")
    for subscription in subscriptions(TakeAnswers(characters, clock), platform.topics):
        Consumer(bus, subscription, platform.checkpoints)
    find = FindCharacter(characters)
    find_location = FindLocation(locations)
    character_servicer = CharacterServicer(
        characters=characters,
        create=CreateCharacter(characters, intake, pictures, clock),
        find=find,
        delete=DeleteCharacter(characters, find, clock),
    )
    location_servicer = LocationServicer(
        locations=locations,
        save=SaveLocation(locations, intake, places, clock),
        find=find_location,
        delete=DeleteLocation(locations, find_location, clock),
    )
    return Hosted(
        name="characters",
        rpc_names=RPC_NAMES,
        register=partial(register, character_servicer, location_servicer),
        bus=bus,
        store=platform.documents.check,
        background={"relay": relay.run, "warm-up": intake.warm},
    )
