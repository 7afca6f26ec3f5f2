"""Whether each topic tells what is, as it came about: every event of something that exists, one content, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted, CharacterIngested, CharacterReady
from continuity.api.events.v1.location_events_pb2 import LocationDeleted, LocationSaved
from tests.chaos.evidence import Accepted, Evidence, MessageType, TopicEvent
from tests.chaos.findings import Finding, Kind

DEAD = ".dead"
SUBJECTS = {
    "continuity.render.v1": "jobs",
    "continuity.prompt.v1": "prompts",
    "continuity.character.v1": "characters",
    "continuity.analysis.v1": "characters",
    "continuity.matte.v1": "characters",
    "continuity.location.v1": "locations",
}
"""The collection in which the subject of each topic's events stands."""
STEPS = {"RenderRequested": 0, "KeyframeRendered": 1, "KeyframeFailed": 1, "KeyframeCancelled": 1}
VERSIONS: Mapping[str, tuple[MessageType, Callable[[Any], int]]] = {
    "CharacterIngested": (CharacterIngested, lambda event: int(event.version)),
    "CharacterReady": (CharacterReady, lambda event: int(event.character.version)),
    "CharacterDeleted": (CharacterDeleted, lambda event: int(event.version)),
    "LocationSaved": (LocationSaved, lambda event: int(event.location.version)),
    "LocationDeleted": (LocationDeleted, lambda event: int(event.version)),
}
"""Where events say of which version they tell."""

Told = Mapping[tuple[str, str, str], Mapping[str, TopicEvent]]
"""The distinct events by topic, project and key, then by id, in the order in which they came first."""


def told(events: Sequence[TopicEvent]) -> Told:
    """Return each event once, where it stands first. One that is delivered again comes behind later ones."""
    found: defaultdict[tuple[str, str, str], dict[str, TopicEvent]] = defaultdict(dict)
    for event in events:
        found[event.topic, event.project, event.key].setdefault(event.id, event)
    return found


def order_findings(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find events of nothing that exists, those that are told in two ways, and those that stand in a wrong order."""
    yield from _of_nothing(evidence)
    yield from _of_two_contents(evidence.events)
    for (topic, project, key), events in told(evidence.events).items():
        yield from _out_of_order(f"{topic} {project}/{key}", list(events.values()))


def _of_nothing(evidence: Evidence) -> Iterator[Finding]:
    standing = {(each.collection, each.project, each.id) for each in evidence.documents}
    for event in {each.name: each for each in evidence.events if not each.topic.endswith(DEAD)}.values():
        if (SUBJECTS.get(event.topic), event.project, event.key) not in standing:
            yield Finding(Kind.UNASKED, event.name, f"is on {event.topic} and tells of nothing that exists")


def _of_two_contents(events: Sequence[TopicEvent]) -> Iterator[Finding]:
    contents: defaultdict[tuple[str, str], set[TopicEvent]] = defaultdict(set)
    for event in events:
        if not event.topic.endswith(DEAD):
            contents[event.source, event.id].add(event)
    for (source, id), different in contents.items():
        if len(different) > 1:
            yield Finding(Kind.DUPLICATED, f"event {source}#{id}", f"is told in {len(different)} ways")


def _out_of_order(subject: str, events: Sequence[TopicEvent]) -> Iterator[Finding]:
    steps: list[int] = []
    for event in events:
        try:
            steps += _step(event)
        except DecodeError:
            yield Finding(Kind.DAMAGED, event.name, "has a payload that does not parse")
    if steps != sorted(steps):
        yield Finding(Kind.DISORDERED, subject, f"has its events in the order of {steps}")


def _step(event: TopicEvent) -> list[int]:
    """Return the event's place among those of its subject; none where any order is right."""
    if event.type in VERSIONS:
        message, version = VERSIONS[event.type]
        return [version(event.opened(message))]
    return [STEPS[event.type]] if event.type in STEPS else []
