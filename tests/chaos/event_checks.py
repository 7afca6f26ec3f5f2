"""Whether documents and topics tell the same: every event of a document was published, and no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
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
"""Collections that hold one answer to each version of a character, told once."""

Told = Mapping[tuple[str, str], Mapping[str, TopicEvent]]
"""The distinct events by topic and key, then by id."""


def event_findings(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find events that documents have told and topics lack, and those that topics have too many."""
    told = _told(evidence.events)
    for job in evidence.of("jobs"):
        yield from _of_job(job, told)
    for character in evidence.of("characters"):
        for type in ("CharacterIngested", "CharacterReady"):
            yield from _exactly(1, character, told, "continuity.character.v1", character.id, (type,))
    for collection, (topic, types) in EVERY_VERSION_TOLD.items():
        for document in evidence.of(collection):
            yield from _exactly(document.version, document, told, topic, document.id, types)
    for collection, (topic, types) in ANSWERS.items():
        for document in evidence.of(collection):
            answers = [each for each in evidence.of(collection) if _character(each) == _character(document)]
            yield from _exactly(len(answers), document, told, topic, _character(document), types)


def _of_job(job: StoredDocument, told: Told) -> Iterator[Finding]:
    events = told.get((RENDER_TOPIC, job.id), {})
    endings = [event for event in events.values() if event.type in ENDINGS.values()]
    expected = ENDINGS.get(job.body["state"])
    if len(endings) > 1:
        yield Finding(Kind.DUPLICATED, job.name, f"ended {len(endings)} times: {[each.type for each in endings]}")
    if expected and not endings:
        yield Finding(Kind.UNPUBLISHED, job.name, f"is {job.body['state']} and no {expected} was published")
    for event in endings:
        if event.type != expected:
            yield Finding(Kind.DUPLICATED, job.name, f"is {job.body['state']} and a {event.type} was published")
        elif event.type == "KeyframeRendered" and not _same_picture(job, event):
            yield Finding(Kind.DUPLICATED, job.name, "has another keyframe than was published")
    if job.body.get("requested_time") and not any(event.type == "RenderRequested" for event in events.values()):
        yield Finding(Kind.UNPUBLISHED, job.name, "was requested and no RenderRequested was published")


def _exactly(
    count: int, document: StoredDocument, told: Told, topic: str, key: str, types: Sequence[str]
) -> Iterator[Finding]:
    found = [event for event in told.get((topic, key), {}).values() if event.type in types]
    if len(found) != count:
        kind = Kind.UNPUBLISHED if len(found) < count else Kind.DUPLICATED
        yield Finding(kind, document.name, f"has told {count} of {'/'.join(types)}, the topic has {len(found)}")


def _told(events: Sequence[TopicEvent]) -> Told:
    told: defaultdict[tuple[str, str], dict[str, TopicEvent]] = defaultdict(dict)
    for event in events:
        told[event.topic, event.key][event.id] = event
    return told


def _same_picture(job: StoredDocument, event: TopicEvent) -> bool:
    published = event.opened(KeyframeRendered).keyframe.object
    kept = (job.body.get("keyframe") or {}).get("object", {})
    return (published.key, published.sha256) == (kept.get("key"), kept.get("sha256"))


def _character(document: StoredDocument) -> str:
    return str(document.body["character_id"])
