"""Domain values and protobuf messages."""

from __future__ import annotations

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.common.v1 import shot_pb2
from continuity.api.events.v1 import prompt_events_pb2, render_events_pb2
from continuity.api.locations.v1.location_pb2 import Location as LocationMessage
from continuity.api.prompts.v1 import prompt_service_pb2
from continuity.messaging.codec import EventCodec, Publication
from continuity.wire.conversion import to_message, word
from services.prompts.domain.record import PromptBuilt, PromptFailed, PromptRecord
from services.prompts.domain.shot import CastMember, Location, Shot
from services.prompts.domain.vocabulary import Kind, Vocabulary
from services.prompts.handlers.build_prompts import PromptAsked

TOPIC = "continuity.prompt.v1"
DEFAULT_STYLE = "cinematic"

CODEC = EventCodec(
    "prompts",
    {
        PromptBuilt: Publication(TOPIC, prompt_events_pb2.PromptBuilt, lambda event: event.job_id),
        PromptFailed: Publication(TOPIC, prompt_events_pb2.PromptFailed, lambda event: event.job_id),
    },
)


def prompt_asked(event: render_events_pb2.RenderRequested) -> PromptAsked:
    """Return what a requested shot needs a prompt for."""
    cast = [cast_member(character) for character in event.characters]
    expire_time = event.expire_time.ToNanoseconds() / 1e9 if event.HasField("expire_time") else None
    return PromptAsked(event.job_id, shot_of(event), cast, location_of(event), event.film_seed, expire_time)


def shot_of(event: render_events_pb2.RenderRequested) -> Shot:
    """Return the shot; the location says what it leaves open."""
    shot, place = event.shot, event.location
    return Shot(
        scene_id=shot.scene_id,
        shot_number=shot.shot_number,
        shot_type=word(shot_pb2.ShotType.DESCRIPTOR, shot.shot_type),
        description=shot.description,
        action=shot.action,
        style=shot.style or DEFAULT_STYLE,
        lighting=shot.lighting or None,
        mood=shot.mood or None,
        camera_angle=word(shot_pb2.CameraAngle.DESCRIPTOR, shot.camera_angle) or None,
        composition=shot.composition or None,
        time_of_day=word(shot_pb2.TimeOfDay.DESCRIPTOR, shot.time_of_day or place.time_of_day) or None,
        weather=word(shot_pb2.Weather.DESCRIPTOR, shot.weather or place.weather) or None,
        negative=shot.negative,
        seed=shot.seed if shot.HasField("seed") else None,
    )


def cast_member(character: Character) -> CastMember:
    """Return what was seen of a character; an analysis that failed says nothing."""
    if not character.analysis.characters_roster:
        return CastMember(character.name, character.description)
    seen = character.analysis.characters_roster[0]
    return CastMember(
        name=character.name,
        description=character.description,
        skin=seen.physical_appearance.skin,
        hair=seen.physical_appearance.hair,
        body=seen.physical_appearance.body,
        clothing=seen.clothing_style.outfit,
        accessories=seen.clothing_style.accessories,
    )


def location_of(event: render_events_pb2.RenderRequested) -> Location:
    """Return the place; a neutral studio when the shot names none."""
    if not event.HasField("location"):
        return Location("studio", "interior", "plain neutral backdrop")
    place: LocationMessage = event.location
    return Location(place.name, word(shot_pb2.LocationType.DESCRIPTOR, place.type), place.description)


def record_message(record: PromptRecord) -> prompt_service_pb2.GetPromptResponse:
    """Return the answer as a response."""
    return to_message(record, prompt_service_pb2.GetPromptResponse)


def vocabulary_message(vocabulary: Vocabulary) -> prompt_service_pb2.GetVocabularyResponse:
    """Return every word with its meaning and other spellings."""
    words = []
    for field, spellings in vocabulary.spellings.items():
        for each in dict.fromkeys(spellings.values()):
            aliases = [spelling for spelling, meant in spellings.items() if meant == each and spelling != each]
            phrase = _phrase(vocabulary, field, each)
            words.append(prompt_service_pb2.Word(field=field, word=each, phrase=phrase, aliases=aliases))
    return prompt_service_pb2.GetVocabularyResponse(words=words)


def _phrase(vocabulary: Vocabulary, field: str, each: str) -> str:
    return vocabulary.style(each).prompt if field == "style" else vocabulary.term(Kind(field), each).phrase
