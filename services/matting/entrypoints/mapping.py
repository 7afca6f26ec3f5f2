"""Domain values and protobuf messages."""

from __future__ import annotations

from continuity.api.events.v1 import matte_events_pb2
from continuity.api.matting.v1 import matting_service_pb2
from continuity.messaging.codec import EventCodec, Publication
from continuity.wire.conversion import to_message
from services.matting.domain.matte import CharacterMatted, CharacterMattingFailed, MatteRecord

TOPIC = "continuity.matte.v1"

CODEC = EventCodec(
    "matting",
    {
        CharacterMatted: Publication(TOPIC, matte_events_pb2.CharacterMatted, lambda event: event.character_id),
        CharacterMattingFailed: Publication(
            TOPIC, matte_events_pb2.CharacterMattingFailed, lambda event: event.character_id
        ),
    },
)


def record_message(record: MatteRecord) -> matting_service_pb2.GetMatteResponse:
    """Return the answer as a response."""
    return to_message(record, matting_service_pb2.GetMatteResponse)
