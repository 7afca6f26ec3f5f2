from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from continuity.api.events.v1.character_events_pb2 import CharacterIngested, CharacterReady
from continuity.api.events.v1.location_events_pb2 import LocationSaved
from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted, AcceptedJob, Asked, Evidence, StoredDocument, StoredObject, TopicEvent
from tests.chaos.findings import Kind

PROJECT, JOB = "film", "job-1"
KEY, SHA, SIZE = "film/keyframes/abc.png", "abc", 3
REFERENCE = {"key": KEY, "sha256": SHA, "size_bytes": SIZE, "content_type": "image/png"}
SUBMISSION = Asked(PROJECT, "submission", "request-1")
CHARACTER = Asked(PROJECT, "character", "request-2")


def document(collection: str, id: str, stored_version: int = 1, /, **body: Any) -> StoredDocument:
    return StoredDocument(collection, PROJECT, id, stored_version, body, inbox=("a#1", "a#2"))


def event(topic: str, key: str, type: str, id: str = "", payload: bytes = b"") -> TopicEvent:
    return TopicEvent(f"continuity.{topic}.v1", PROJECT, key, "a service", id or f"{key}-{type}", type, payload)


def rendered() -> bytes:
    message = KeyframeRendered(job_id=JOB)
    message.keyframe.object.key, message.keyframe.object.sha256 = KEY, SHA
    return message.SerializeToString()


def ready(version: int) -> bytes:
    message = CharacterReady()
    message.character.version = version
    return message.SerializeToString()


def saved(version: int) -> bytes:
    message = LocationSaved()
    message.location.version = version
    return message.SerializeToString()


ACCEPTED = Accepted(
    [AcceptedJob(PROJECT, JOB, SUBMISSION.id, "1/1")],
    {(PROJECT, CHARACTER.id)},
    {(PROJECT, "l-1")},
    {SUBMISSION, CHARACTER},
)
CANCELLED = replace(ACCEPTED, cancelled={(PROJECT, JOB)})
INGESTED = CharacterIngested(version=1).SerializeToString()
RENDERED = event("render", JOB, "KeyframeRendered", payload=rendered())
SOUND = Evidence(
    documents=(
        document("submissions", SUBMISSION.id, fanned_out=True, shots=[{"scene_id": "1", "shot_number": 1}]),
        document(
            "jobs",
            JOB,
            4,
            state="succeeded",
            submission_id=SUBMISSION.id,
            shot={"scene_id": "1", "shot_number": 1},
            keyframe={"object": REFERENCE},
            lease_token="",
            line_key=None,
            requested_time=5.0,
            failure=None,
        ),
        document("prompts", JOB, 2, job_id=JOB),
        document("characters", CHARACTER.id, 4, state="ready", version=2, ingested_version=1, looks=1),
        document("locations", "l-1", 2, version=2),
        document("cast", CHARACTER.id, version=2),
        document("cast", "l-1", version=2),
        document("analyses", "a-1", 2, character_id=CHARACTER.id, version=1),
        document("mattes", "m-1", 2, character_id=CHARACTER.id, version=1),
    ),
    objects={KEY: StoredObject(KEY, SHA, SIZE)},
    events=(
        event("render", JOB, "RenderRequested"),
        RENDERED,
        RENDERED,
        event("prompt", JOB, "PromptBuilt", "p-1"),
        event("prompt", JOB, "PromptBuilt", "p-2"),
        event("character", CHARACTER.id, "CharacterIngested", "i-1", INGESTED),
        event("character", CHARACTER.id, "CharacterIngested", "i-2", INGESTED),
        event("character", CHARACTER.id, "CharacterReady", payload=ready(2)),
        event("location", "l-1", "LocationSaved", "l-1", saved(1)),
        event("location", "l-1", "LocationSaved", "l-2", saved(2)),
        event("location", "l-1", "LocationSaved", "l-1", saved(1)),
        event("analysis", CHARACTER.id, "CharacterAnalyzed", "a-1"),
        event("analysis", CHARACTER.id, "CharacterAnalyzed", "a-2"),
        event("matte", CHARACTER.id, "CharacterMatted", "m-1"),
        event("matte", CHARACTER.id, "CharacterMatted", "m-2"),
    ),
    unhandled={("rendering", "continuity.prompt.v1"): 0},
)
"""Among it what is no harm: an event that stands on its topic twice, the second time behind a later one."""


def with_body(collection: str, **changes: Any) -> Evidence:
    changed = [
        replace(each, body={**each.body, **changes}) if each.collection == collection else each
        for each in SOUND.documents
    ]
    return replace(SOUND, documents=tuple(changed))


def with_document(collection: str, **changes: Any) -> Evidence:
    changed = [replace(each, **changes) if each.collection == collection else each for each in SOUND.documents]
    return replace(SOUND, documents=tuple(changed))


def with_documents(*documents: StoredDocument) -> Evidence:
    return replace(SOUND, documents=(*SOUND.documents, *documents))


def without_documents(collection: str) -> Evidence:
    return replace(SOUND, documents=tuple(each for each in SOUND.documents if each.collection != collection))


def without_events(*types: str) -> Evidence:
    return replace(SOUND, events=tuple(each for each in SOUND.events if each.type not in types))


def without(collection: str, type: str) -> Evidence:
    return replace(without_documents(collection), events=without_events(type).events)


def with_events(*events: TopicEvent) -> Evidence:
    return replace(SOUND, events=(*SOUND.events, *events))


def backwards(*types: str) -> Evidence:
    """Turn the order round in which events of these types stand on their topic."""
    turned = [each for each in SOUND.events if each.type in types][::-1]
    return replace(SOUND, events=(*without_events(*types).events, *turned))


def held(state: str) -> StoredDocument:
    return document("prompts_held_events", "h-1", state=state, failure=None)


def a_second(collection: str, id: str, **changes: Any) -> StoredDocument:
    """Return a copy of what is stored under another id."""
    (first,) = SOUND.of(collection)
    return replace(first, id=id, body={**first.body, **changes})


def kinds(evidence: Evidence, accepted: Accepted = ACCEPTED) -> set[Kind]:
    return {finding.kind for finding in check(accepted, evidence)}


def test_a_sound_run_has_no_findings() -> None:
    assert check(ACCEPTED, SOUND) == []
    assert terminal(ACCEPTED, SOUND) == 1


PLANTED: Mapping[str, tuple[Evidence, Kind]] = {
    "a lost job": (without_documents("jobs"), Kind.LOST),
    "a job that stands still": (with_body("jobs", state="ready"), Kind.LOST),
    "a lost submission": (without_documents("submissions"), Kind.LOST),
    "a lost character": (without_documents("characters"), Kind.LOST),
    "a character that never gets ready": (with_body("characters", state="ingested"), Kind.LOST),
    "a lost location": (without_documents("locations"), Kind.LOST),
    "a submission that is not fanned out": (with_body("submissions", fanned_out=False), Kind.LOST),
    "a shot without a job": (
        with_body("submissions", shots=[{"scene_id": "1", "shot_number": n} for n in (1, 2)]),
        Kind.LOST,
    ),
    "a job for another shot than was promised": (
        with_body("jobs", shot={"scene_id": "1", "shot_number": 2}),
        Kind.LOST,
    ),
    "a lost analysis that was told": (without_documents("analyses"), Kind.LOST),
    "a lost matte that was told": (without_documents("mattes"), Kind.LOST),
    "a lost analysis and its event": (without("analyses", "CharacterAnalyzed"), Kind.LOST),
    "a lost matte and its event": (without("mattes", "CharacterMatted"), Kind.LOST),
    "an analysis of another version": (with_body("analyses", version=2), Kind.LOST),
    "a failed job": (with_body("jobs", state="failed", failure={"reason": "WORKER_LOST"}), Kind.FAILED),
    "a failed analysis": (with_body("characters", analysis_failure={"reason": "WORKER_LOST"}), Kind.FAILED),
    "a failed matte": (with_body("characters", matting_failure={"reason": "WORKER_LOST"}), Kind.FAILED),
    "two jobs for a shot": (with_documents(a_second("jobs", "job-2")), Kind.DUPLICATED),
    "the same request accepted twice": (
        with_documents(a_second("jobs", "job-2", submission_id="sub-2"), a_second("submissions", "sub-2")),
        Kind.DUPLICATED,
    ),
    "a job that nobody was promised": (
        with_documents(a_second("jobs", "job-2", shot={"scene_id": "1", "shot_number": 2})),
        Kind.UNASKED,
    ),
    "a character that nobody asked for": (with_documents(a_second("characters", "c-2")), Kind.UNASKED),
    "a location that nobody asked for": (with_documents(a_second("locations", "l-2")), Kind.UNASKED),
    "a submission that nobody asked for": (with_documents(a_second("submissions", "sub-2")), Kind.UNASKED),
    "a prompt of no job": (with_documents(a_second("prompts", "job-2")), Kind.UNASKED),
    "a member of the cast that is nobody": (with_documents(document("cast", "c-2", version=1)), Kind.UNASKED),
    "an analysis of nobody": (with_documents(a_second("analyses", "a-2", character_id="c-2")), Kind.UNASKED),
    "a matte of nobody": (with_documents(a_second("mattes", "m-2", character_id="c-2")), Kind.UNASKED),
    "an ending of no job": (with_events(event("render", "job-2", "KeyframeCancelled")), Kind.UNASKED),
    "a prompt told of no job": (with_events(event("prompt", "job-2", "PromptBuilt")), Kind.UNASKED),
    "a readiness of nobody": (with_events(event("character", "c-2", "CharacterReady")), Kind.UNASKED),
    "a location told that is none": (with_events(event("location", "l-2", "LocationSaved")), Kind.UNASKED),
    "an analysis told of nobody": (with_events(event("analysis", "c-2", "CharacterAnalyzed")), Kind.UNASKED),
    "a matte told of nobody": (with_events(event("matte", "c-2", "CharacterMatted")), Kind.UNASKED),
    "an event in another project": (
        with_events(replace(RENDERED, project="other", id="other")),
        Kind.UNASKED,
    ),
    "an event of a topic that nobody knows": (with_events(event("weather", JOB, "Rain")), Kind.UNASKED),
    "a job that ended twice": (
        with_events(event("render", JOB, "KeyframeRendered", "again", rendered())),
        Kind.DUPLICATED,
    ),
    "an ending that is not the job's": (
        with_events(event("render", JOB, "KeyframeCancelled")),
        Kind.DUPLICATED,
    ),
    "another picture than was told": (
        replace(without_events("KeyframeRendered"), events=(event("render", JOB, "KeyframeRendered"),)),
        Kind.DUPLICATED,
    ),
    "an event applied twice": (with_document("prompts", inbox=("a#1", "a#1")), Kind.DUPLICATED),
    "a photograph told of more often than was asked": (with_body("characters", looks=0), Kind.DUPLICATED),
    "an analysis told too often": (
        with_events(event("analysis", CHARACTER.id, "CharacterAnalyzed", "a-3")),
        Kind.DUPLICATED,
    ),
    "an event told too often": (with_events(event("prompt", JOB, "PromptBuilt", "p-3")), Kind.DUPLICATED),
    "one event with two payloads": (
        with_events(replace(SOUND.events[0], payload=b"\x12\x01x")),
        Kind.DUPLICATED,
    ),
    "one event on two topics": (
        with_events(replace(RENDERED, topic="continuity.prompt.v1")),
        Kind.DUPLICATED,
    ),
    "an ending before its request": (backwards("RenderRequested", "KeyframeRendered"), Kind.DISORDERED),
    "a readiness before its photograph": (backwards("CharacterIngested", "CharacterReady"), Kind.DISORDERED),
    "an old place after the new one": (
        replace(
            without_events("LocationSaved"),
            events=(
                *without_events("LocationSaved").events,
                event("location", "l-1", "LocationSaved", "l-2", saved(2)),
                event("location", "l-1", "LocationSaved", "l-1", saved(1)),
            ),
        ),
        Kind.DISORDERED,
    ),
    "a payload that is none": (with_events(event("location", "l-1", "LocationSaved", "l-3", b"\xff")), Kind.DAMAGED),
    "a picture's payload that is none": (
        replace(without_events("KeyframeRendered"), events=(replace(RENDERED, payload=b"\xff"),)),
        Kind.DAMAGED,
    ),
    "a picture that is gone": (replace(SOUND, objects={}), Kind.DAMAGED),
    "other bytes": (replace(SOUND, objects={KEY: StoredObject(KEY, "abd", SIZE)}), Kind.DAMAGED),
    "fewer bytes": (replace(SOUND, objects={KEY: StoredObject(KEY, SHA, 2)}), Kind.DAMAGED),
    "a success without a picture": (with_body("jobs", keyframe=None), Kind.DAMAGED),
    "an orphaned object": (
        replace(SOUND, objects={**SOUND.objects, "film/keyframes/x": StoredObject("film/keyframes/x", "x", 1)}),
        Kind.ORPHANED,
    ),
    "a lease that is left": (with_body("jobs", lease_token="t"), Kind.LEASED),
    "a finished job in line": (with_body("jobs", line_key=7), Kind.LEASED),
    "an event in an outbox": (with_document("jobs", waiting_events=1), Kind.UNPUBLISHED),
    "an ending that was never told": (without_events("KeyframeRendered"), Kind.UNPUBLISHED),
    "a request that was never told": (without_events("RenderRequested"), Kind.UNPUBLISHED),
    "a prompt that was never told": (without_events("PromptBuilt"), Kind.UNPUBLISHED),
    "an analysis that was never told": (without_events("CharacterAnalyzed"), Kind.UNPUBLISHED),
    "a matte that was never told": (without_events("CharacterMatted"), Kind.UNPUBLISHED),
    "a readiness that was never told": (without_events("CharacterReady"), Kind.UNPUBLISHED),
    "a group that lags": (replace(SOUND, unhandled={("rendering", "continuity.prompt.v1"): 3}), Kind.UNHANDLED),
    "a cast of an old version": (with_body("cast", version=1), Kind.UNAPPLIED),
    "a picture without a prompt": (without_documents("prompts"), Kind.UNAPPLIED),
    "an event that is held": (with_documents(held("waiting")), Kind.HELD),
    "a dead letter in the store": (with_documents(held("dead")), Kind.DEAD),
    "a dead letter on its topic": (
        with_events(replace(RENDERED, topic="continuity.render.v1.dead")),
        Kind.DEAD,
    ),
}
PROMISED: Mapping[str, tuple[Accepted, Kind]] = {
    "a cancellation that vanished": (CANCELLED, Kind.LOST),
    "a watcher who never saw the end": (replace(ACCEPTED, watched={(PROJECT, JOB): "rendering"}), Kind.UNSEEN),
    "a watcher who saw another end": (replace(ACCEPTED, watched={(PROJECT, JOB): "cancelled"}), Kind.UNSEEN),
    "a job that was promised for two shots": (
        replace(ACCEPTED, jobs=[*ACCEPTED.jobs, replace(ACCEPTED.jobs[0], place="1/2")]),
        Kind.DUPLICATED,
    ),
    "two jobs that were promised for a shot": (
        replace(ACCEPTED, jobs=[*ACCEPTED.jobs, replace(ACCEPTED.jobs[0], id="job-2")]),
        Kind.DUPLICATED,
    ),
}


@pytest.mark.parametrize(("evidence", "kind"), PLANTED.values(), ids=PLANTED.keys())
def test_what_is_amiss_is_found(evidence: Evidence, kind: Kind) -> None:
    assert kind in kinds(evidence)


@pytest.mark.parametrize(("accepted", "kind"), PROMISED.values(), ids=PROMISED.keys())
def test_what_was_promised_and_is_not_so_is_found(accepted: Accepted, kind: Kind) -> None:
    assert kind in kinds(SOUND, accepted)


def test_every_kind_of_finding_has_been_planted() -> None:
    assert {kind for _, kind in (*PLANTED.values(), *PROMISED.values())} == set(Kind) - {Kind.UNEXERCISED}


def test_what_was_asked_for_and_never_answered_may_be_there() -> None:
    """A client has died, or given up, between its request and the answer."""
    unanswered = Accepted([], set(), {(PROJECT, "l-1")}, ACCEPTED.asked)
    assert check(unanswered, SOUND) == []


def test_a_cancelled_job_and_a_watched_one_are_as_their_clients_know_them() -> None:
    cancelled = with_body("jobs", state="cancelled", keyframe=None)
    told = [replace(each, type="KeyframeCancelled") if each is RENDERED else each for each in cancelled.events]
    evidence = replace(cancelled, events=tuple(told), objects={})
    assert check(replace(CANCELLED, watched={(PROJECT, JOB): "cancelled"}), evidence) == []


def test_a_job_that_has_not_ended_is_not_counted_as_terminal() -> None:
    assert terminal(ACCEPTED, with_body("jobs", state="rendering")) == 0
