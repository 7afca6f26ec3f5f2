"""Events ⇄ use cases."""

from __future__ import annotations

from collections.abc import Mapping

from continuity.api.events.v1 import character_events_pb2 as pb
from continuity.kernel.values import Failure, ObjectRef
from continuity.messaging.envelope import Event
from continuity.messaging.handling import Subscription
from continuity.messaging.topics import Topic
from continuity.wire.conversion import from_message
from services.matting.handlers.matte_character import MatteCharacter


def subscription(matte: MatteCharacter, topics: Mapping[str, Topic]) -> Subscription:
    """Return what the matting service consumes."""

    async def ingested(project: str, event: pb.CharacterIngested) -> None:
        picture = from_message(event.picture, ObjectRef)
        await matte(project, event.character_id, event.version, picture, event.keep_background)

    async def given_up(event: Event, failure: Failure) -> None:
        version = pb.CharacterIngested.FromString(event.payload).version
        await matte.give_up(event.project, event.subject, version, failure)

    return Subscription(topics["continuity.character.v1"], {pb.CharacterIngested: ingested}, given_up)
