"""Events ⇄ use cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from continuity.api.events.v1 import character_events_pb2 as characters
from continuity.api.events.v1 import location_events_pb2 as locations
from continuity.api.events.v1 import prompt_events_pb2 as prompts
from continuity.kernel.values import Failure
from continuity.messaging.envelope import Event
from continuity.messaging.handling import Subscription
from continuity.messaging.topics import Topic
from continuity.wire.conversion import closed, from_message
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.keyframe import Prompt
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.take_prompts import TakePrompts


@dataclass(frozen=True)
class _Failed:
    job_id: str
    failure: Failure


def subscriptions(freeze: FreezeCast, take: TakePrompts, topics: Mapping[str, Topic]) -> list[Subscription]:
    """Return what the rendering service consumes."""

    async def character_ready(project: str, event: characters.CharacterReady) -> None:
        character = event.character
        await freeze.learn(project, CastEntry(character.id, character.name, character.version, closed(character)))

    async def character_deleted(project: str, event: characters.CharacterDeleted) -> None:
        await freeze.learn(project, CastEntry(event.character_id, "", event.version, "", deleted=True))

    async def location_saved(project: str, event: locations.LocationSaved) -> None:
        location = event.location
        await freeze.learn(project, CastEntry(location.id, location.name, location.version, closed(location)))

    async def location_deleted(project: str, event: locations.LocationDeleted) -> None:
        await freeze.learn(project, CastEntry(event.location_id, "", event.version, "", deleted=True))

    async def prompt_built(project: str, event: prompts.PromptBuilt) -> None:
        await take.built(project, event.job_id, from_message(event.prompt, Prompt))

    async def prompt_failed(project: str, message: prompts.PromptFailed) -> None:
        event = from_message(message, _Failed)
        await take.failed(project, event.job_id, event.failure)

    async def prompt_given_up(event: Event, failure: Failure) -> None:
        await take.give_up(event.project, event.subject, failure)

    return [
        Subscription(
            topics["continuity.character.v1"],
            {characters.CharacterReady: character_ready, characters.CharacterDeleted: character_deleted},
        ),
        Subscription(
            topics["continuity.location.v1"],
            {locations.LocationSaved: location_saved, locations.LocationDeleted: location_deleted},
        ),
        Subscription(
            topics["continuity.prompt.v1"],
            {prompts.PromptBuilt: prompt_built, prompts.PromptFailed: prompt_failed},
            prompt_given_up,
        ),
    ]
