"""Events ⇄ use cases."""

from __future__ import annotations

from collections.abc import Mapping

from continuity.api.events.v1 import character_events_pb2 as pb
from continuity.kernel.values import Failure
from continuity.messaging.envelope import Event
from continuity.messaging.handling import Subscription
from continuity.messaging.topics import Topic
from services.vision.handlers.analyze_character import AnalyzeCharacter


def subscription(analyze: AnalyzeCharacter, topics: Mapping[str, Topic]) -> Subscription:
    """Return what the vision service consumes."""

    async def ingested(project: str, event: pb.CharacterIngested) -> None:
        await analyze(project, event.character_id, event.version, event.name, event.picture.key)

    async def given_up(event: Event, failure: Failure) -> None:
        version = pb.CharacterIngested.FromString(event.payload).version
        await analyze.give_up(event.project, event.subject, version, failure)

    return Subscription(topics["continuity.character.v1"], {pb.CharacterIngested: ingested}, given_up)
