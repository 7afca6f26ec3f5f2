"""Whether documents and topics tell the same: every event of a document was published, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
from tests.chaos.event_order import Told, told
from tests.chaos.evidence import Accepted, Evidence, StoredDocument, TopicEvent
from tests.chaos.findings import Finding, Kind

RENDER_TOPIC = "continuity.render.v1"
ENDINGS = {"succeeded": "KeyframeRendered", "failed": "KeyframeFailed", "cancelled": "KeyframeCancelled"}
EVERY_VERSION_TOLD = {
    "prompts": ("continuity.prompt.v1", ("PromptBuilt", "PromptFailed")),
    "locations": ("continuity.location.v1", ("LocationSaved", "LocationDeleted")),
}
"""Collections in which every write tells one event."""
ANSWERS = {
    "analyses": ("continuity.analysis.v1", ("CharacterAnalyzed", "CharacterAnalysisFailed")),
    "mattes": ("continuity.matte.v1", ("CharacterMatted", "CharacterMattingFailed")),
}
"""Collections that hold one answer to each version of a character; every write tells it."""


def event_findings(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find events that documents have told and topics lack, and those that topics have too many."""
    events = told(evidence.events)
    for job in evidence.of("jobs"):
        yield from _of_job(job, events)
    for character in evidence.of("characters"):
        asked = 1 + int(character.body.get("looks") or 0)
        for count, type in ((asked, "CharacterIngested"), (1, "CharacterReady")):
            yield from _exactly(count, character, events, "continuity.character.v1", character.id, (type,))
    for collection, (topic, types) in EVERY_VERSION_TOLD.items():
        for document in evidence.of(collection):
            yield from _exactly(document.version, document, events, topic, document.id, types)
    for collection, (topic, types) in ANSWERS.items():
        for document in evidence.of(collection):
            answers = [each for each in evidence.of(collection) if _character(each) == _character(document)]
            tellings = sum(each.version for each in answers)
            yield from _exactly(tellings, document, events, topic, _character(document), types)


def _of_job(job: StoredDocument, all_told: Told) -> Iterator[Finding]:
    events = all_told.get((RENDER_TOPIC, job.project, job.id), {})
    endings = [event for event in events.values() if event.type in ENDINGS.values()]
    expected = ENDINGS.get(job.body["state"])
    if len(endings) > 1:
        yield Finding(Kind.DUPLICATED, job.name, f"ended {len(endings)} times: {[each.type for each in endings]}")
    if expected and not endings:
        yield Finding(Kind.UNPUBLISHED, job.name, f"is {job.body['state']} and no {expected} was published")
    for event in endings:
        if event.type != expected:
            yield Finding(Kind.DUPLICATED, job.name, f"is {job.body['state']} and a {event.type} was published")
        elif event.type == "KeyframeRendered":
            yield from _of_picture(job, event)
    if job.body.get("requested_time") and not any(event.type == "RenderRequested" for event in events.values()):
        yield Finding(Kind.UNPUBLISHED, job.name, "was requested and no RenderRequested was published")


def _exactly(
    count: int, document: StoredDocument, all_told: Told, topic: str, key: str, types: Sequence[str]
) -> Iterator[Finding]:
    found = [event for event in all_told.get((topic, document.project, key), {}).values() if event.type in types]
    if len(found) != count:
        kind = Kind.UNPUBLISHED if len(found) < count else Kind.DUPLICATED
        yield Finding(kind, document.name, f"has told {count} of {'/'.join(types)}, the topic has {len(found)}")


def _of_picture(job: StoredDocument, event: TopicEvent) -> Iterator[Finding]:
    try:
        published = event.opened(KeyframeRendered).keyframe.object
    except DecodeError:
        yield Finding(Kind.DAMAGED, event.name, "has a payload that does not parse")
        return
    kept = (job.body.get("keyframe") or {}).get("object", {})
    if (published.key, published.sha256) != (kept.get("key"), kept.get("sha256")):
        yield Finding(Kind.DUPLICATED, job.name, "has another keyframe than was published")


def _character(document: StoredDocument) -> str:
    return str(document.body["character_id"])
