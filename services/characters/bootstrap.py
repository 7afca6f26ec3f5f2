"""Wires the characters service."""

from __future__ import annotations

from functools import partial

from continuity.hosting.hosted import Hosted
from continuity.hosting.platform import Platform
from continuity.kernel.clock import SystemClock
from continuity.messaging.consumer import Consumer
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.objects.collector import Collector
from continuity.objects.references import DocumentReferences
from services.characters.adapters.photo_intake import PooledPhotoIntake
from services.characters.adapters.stored_characters import CHARACTERS, PHOTO, StoredCharacters
from services.characters.adapters.stored_characters import PICTURE as CHARACTER_PICTURE
from services.characters.adapters.stored_locations import (
    LOCATIONS,
    PAST_PICTURE,
    PAST_PICTURES,
    PastPicture,
    StoredLocations,
)
from services.characters.adapters.stored_locations import PICTURE as LOCATION_PICTURE
from services.characters.adapters.stored_pictures import StoredPictures
from services.characters.domain.character import Character
from services.characters.domain.location import Location
from services.characters.entrypoints.mapping import CODEC
from services.characters.entrypoints.servicer import RPC_NAMES, CharacterServicer, LocationServicer, register
from services.characters.entrypoints.subscribers import subscriptions
from services.characters.handlers.address_image import AddressImage
from services.characters.handlers.create_character import CreateCharacter
from services.characters.handlers.delete_character import DeleteCharacter
from services.characters.handlers.find_character import FindCharacter
from services.characters.handlers.locations import DeleteLocation, FindLocation, SaveLocation
from services.characters.handlers.reconcile import Reconcile
from services.characters.handlers.take_answers import TakeAnswers
from services.characters.settings import Settings

AGGREGATES = (CHARACTERS, LOCATIONS, PAST_PICTURES)
COLLECTIONS = (*AGGREGATES, held_collection("characters"))
CHARACTER_FOLDER = "characters"
LOCATION_FOLDER = "locations"


async def bootstrap(settings: Settings, platform: Platform) -> Hosted:
    """Return the service on the given platform."""
    clock = SystemClock()
    bus = platform.bus("characters", at_leisure=True)
    relay = Relay(platform.documents, AGGREGATES, bus, platform.backlog, clock)
    characters = StoredCharacters(Aggregates(Character, CHARACTERS, platform.documents, CODEC, relay))
    locations = StoredLocations(
        Aggregates(Location, LOCATIONS, platform.documents, CODEC, relay),
        Aggregates(PastPicture, PAST_PICTURES, platform.documents, CODEC, relay),
    )
    intake = PooledPhotoIntake(platform.cpu)
    pictures = StoredPictures(platform.objects, CHARACTER_FOLDER)
    places = StoredPictures(platform.objects, LOCATION_FOLDER)
    held = HeldEvents(platform.documents, "characters", clock)
    answers = TakeAnswers(characters, clock)
    reconcile = Reconcile(characters, clock, settings.answer_deadline_s)
    consumer = Consumer(bus, subscriptions(answers, platform.topics), held, platform.checkpoints)
    find = FindCharacter(characters)
    find_location = FindLocation(locations)
    character_servicer = CharacterServicer(
        characters=characters,
        create=CreateCharacter(characters, intake, pictures, clock),
        find=find,
        delete=DeleteCharacter(characters, find, clock),
        image_address=AddressImage(pictures),
    )
    location_servicer = LocationServicer(
        locations=locations,
        save=SaveLocation(locations, intake, places, clock),
        find=find_location,
        delete=DeleteLocation(locations, find_location, clock),
    )
    cast = DocumentReferences(platform.documents, (CHARACTERS, PHOTO), (CHARACTERS, CHARACTER_PICTURE))
    sets = DocumentReferences(platform.documents, (LOCATIONS, LOCATION_PICTURE), (PAST_PICTURES, PAST_PICTURE))
    grace_s = settings.collect_after_s
    collectors = {
        "character-pictures": Collector(platform.objects, CHARACTER_FOLDER, cast, clock, grace_s=grace_s).run,
        "location-pictures": Collector(platform.objects, LOCATION_FOLDER, sets, clock, grace_s=grace_s).run,
    }
    return Hosted(
        name="characters",
        rpc_names=RPC_NAMES,
        register=partial(register, character_servicer, location_servicer),
        bus=bus,
        store=platform.documents.check,
        relay=relay.run,
        dead_letters=held,
        background={"held": consumer.retries.run, "reconcile": reconcile.run, "warm-up": intake.warm, **collectors},
    )
