"""Domain values and protobuf messages."""

from __future__ import annotations

from continuity.api.events.v1 import analysis_events_pb2
from continuity.api.vision.v1 import vision_service_pb2
from continuity.messaging.codec import EventCodec, Publication
from continuity.wire.conversion import to_message
from services.vision.domain.analysis import AnalysisRecord, CharacterAnalysisFailed, CharacterAnalyzed

TOPIC = "continuity.analysis.v1"

CODEC = EventCodec(
    "vision",
    {
        CharacterAnalyzed: Publication(TOPIC, analysis_events_pb2.CharacterAnalyzed, lambda event: event.character_id),
        CharacterAnalysisFailed: Publication(
            TOPIC, analysis_events_pb2.CharacterAnalysisFailed, lambda event: event.character_id
        ),
    },
)


def record_message(record: AnalysisRecord) -> vision_service_pb2.GetAnalysisResponse:
    """Return the answer as a response."""
    return to_message(record, vision_service_pb2.GetAnalysisResponse)
