"""Events ⇄ use cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from continuity.api.events.v1 import analysis_events_pb2, matte_events_pb2
from continuity.kernel.values import Failure, ObjectRef
from continuity.messaging.envelope import Event
from continuity.messaging.handling import Subscription
from continuity.messaging.topics import Topic
from continuity.wire.conversion import from_message
from services.characters.handlers.take_answers import TakeAnswers


@dataclass(frozen=True)
class _Matted:
    character_id: str
    matte: ObjectRef
    background_kept: bool


@dataclass(frozen=True)
class _Analyzed:
    character_id: str
    analysis: str


@dataclass(frozen=True)
class _Failed:
    character_id: str
    failure: Failure


def subscriptions(answers: TakeAnswers, topics: Mapping[str, Topic]) -> list[Subscription]:
    """Return what the characters service consumes."""

    async def matted(project: str, message: matte_events_pb2.CharacterMatted) -> None:
        event = from_message(message, _Matted)
        await answers.matted(project, event.character_id, event.matte, event.background_kept)

    async def matting_failed(project: str, message: matte_events_pb2.CharacterMattingFailed) -> None:
        event = from_message(message, _Failed)
        await answers.matting_failed(project, event.character_id, event.failure)

    async def analyzed(project: str, message: analysis_events_pb2.CharacterAnalyzed) -> None:
        event = from_message(message, _Analyzed)
        await answers.analyzed(project, event.character_id, event.analysis)

    async def analysis_failed(project: str, message: analysis_events_pb2.CharacterAnalysisFailed) -> None:
        event = from_message(message, _Failed)
        await answers.analysis_failed(project, event.character_id, event.failure)

    async def matte_given_up(event: Event, failure: Failure) -> None:
        await answers.give_up_matte(event.project, event.subject, failure)

    async def analysis_given_up(event: Event, failure: Failure) -> None:
        await answers.give_up_analysis(event.project, event.subject, failure)

    return [
        Subscription(
            topics["continuity.matte.v1"],
            {
                matte_events_pb2.CharacterMatted: matted,
                matte_events_pb2.CharacterMattingFailed: matting_failed,
            },
            matte_given_up,
        ),
        Subscription(
            topics["continuity.analysis.v1"],
            {
                analysis_events_pb2.CharacterAnalyzed: analyzed,
                analysis_events_pb2.CharacterAnalysisFailed: analysis_failed,
            },
            analysis_given_up,
        ),
    ]
