from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted, AcceptedJob, Evidence, StoredDocument, StoredObject, TopicEvent
from tests.chaos.findings import Kind

PROJECT, JOB = "film", "job-1"
KEY, SHA, SIZE = "film/keyframes/abc.png", "abc", 3
REFERENCE = {"key": KEY, "sha256": SHA, "size_bytes": SIZE, "content_type": "image/png"}


def document(collection: str, id: str, stored_version: int = 1, /, **body: Any) -> StoredDocument:
    return StoredDocument(collection, PROJECT, id, stored_version, body, inbox=("a#1", "a#2"))


def event(topic: str, key: str, type: str, id: str = "", payload: bytes = b"") -> TopicEvent:
    return TopicEvent(f"continuity.{topic}.v1", key, id or f"{key}-{type}", type, payload)


def rendered() -> bytes:
    message = KeyframeRendered(job_id=JOB)
    message.keyframe.object.key, message.keyframe.object.sha256 = KEY, SHA
    return message.SerializeToString()


ACCEPTED = Accepted([AcceptedJob(PROJECT, JOB, "sub-1", "1/1")], {(PROJECT, "c-1")}, {(PROJECT, "l-1")})
RENDERED = event("render", JOB, "KeyframeRendered", payload=rendered())
SOUND = Evidence(
    documents=(
        document("submissions", "sub-1", fanned_out=True),
        document(
            "jobs",
            JOB,
            4,
            state="succeeded",
            submission_id="sub-1",
            shot={"scene_id": "1", "shot_number": 1},
            keyframe={"object": REFERENCE},
            lease_token="",
            line_key=None,
            requested_time=5.0,
            failure=None,
        ),
        document("prompts", JOB, 2, job_id=JOB),
        document("characters", "c-1", 3, state="ready", version=2),
        document("locations", "l-1", 1, version=1),
        document("cast", "c-1", version=2),
        document("cast", "l-1", version=1),
        document("analyses", "a-1", character_id="c-1"),
        document("mattes", "m-1", character_id="c-1"),
    ),
    objects={KEY: StoredObject(KEY, SHA, SIZE)},
    events=(
        event("render", JOB, "RenderRequested"),
        RENDERED,
        RENDERED,
        event("prompt", JOB, "PromptBuilt", "p-1"),
        event("prompt", JOB, "PromptBuilt", "p-2"),
        event("character", "c-1", "CharacterIngested"),
        event("character", "c-1", "CharacterReady"),
        event("location", "l-1", "LocationSaved"),
        event("analysis", "c-1", "CharacterAnalyzed"),
        event("matte", "c-1", "CharacterMatted"),
    ),
    unhandled={("rendering", "continuity.prompt.v1"): 0},
)


def with_body(collection: str, **changes: Any) -> Evidence:
    changed = [
        replace(each, body={**each.body, **changes}) if each.collection == collection else each
        for each in SOUND.documents
    ]
    return replace(SOUND, documents=tuple(changed))


def with_document(collection: str, **changes: Any) -> Evidence:
    changed = [replace(each, **changes) if each.collection == collection else each for each in SOUND.documents]
    return replace(SOUND, documents=tuple(changed))


def without_documents(collection: str) -> Evidence:
    return replace(SOUND, documents=tuple(each for each in SOUND.documents if each.collection != collection))


def without_events(type: str) -> Evidence:
    return replace(SOUND, events=tuple(each for each in SOUND.events if each.type != type))


def with_events(*events: TopicEvent) -> Evidence:
    return replace(SOUND, events=(*SOUND.events, *events))


def held(state: str) -> StoredDocument:
    return document("prompts_held_events", "h-1", state=state, failure=None)


def second_job() -> StoredDocument:
    (job,) = SOUND.of("jobs")
    return replace(job, id="job-2")


def kinds(evidence: Evidence, accepted: Accepted = ACCEPTED) -> set[Kind]:
    return {finding.kind for finding in check(accepted, evidence)}


def test_a_sound_run_has_no_findings() -> None:
    assert check(ACCEPTED, SOUND) == []
    assert terminal(ACCEPTED, SOUND) == 1


PLANTED: Mapping[str, tuple[Evidence, Kind]] = {
    "a lost job": (without_documents("jobs"), Kind.LOST),
    "a job that stands still": (with_body("jobs", state="ready"), Kind.LOST),
    "a lost character": (without_documents("characters"), Kind.LOST),
    "a character that never gets ready": (with_body("characters", state="ingested"), Kind.LOST),
    "a lost location": (without_documents("locations"), Kind.LOST),
    "a submission that is not fanned out": (with_body("submissions", fanned_out=False), Kind.LOST),
    "a failed job": (with_body("jobs", state="failed", failure={"reason": "WORKER_LOST"}), Kind.FAILED),
    "two jobs for a shot": (replace(SOUND, documents=(*SOUND.documents, second_job())), Kind.DUPLICATED),
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
    "an event told too often": (with_events(event("prompt", JOB, "PromptBuilt", "p-3")), Kind.DUPLICATED),
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
    "an event that is held": (replace(SOUND, documents=(*SOUND.documents, held("waiting"))), Kind.HELD),
    "a dead letter in the store": (replace(SOUND, documents=(*SOUND.documents, held("dead"))), Kind.DEAD),
    "a dead letter on its topic": (
        with_events(TopicEvent("continuity.render.v1.dead", JOB, "e", "RenderRequested", b"")),
        Kind.DEAD,
    ),
}


@pytest.mark.parametrize(("evidence", "kind"), PLANTED.values(), ids=PLANTED.keys())
def test_what_is_amiss_is_found(evidence: Evidence, kind: Kind) -> None:
    assert kind in kinds(evidence)


def test_every_kind_of_finding_has_been_planted() -> None:
    assert {kind for _, kind in PLANTED.values()} == set(Kind) - {Kind.UNEXERCISED}


def test_a_job_promised_for_two_shots_is_found() -> None:
    twice = Accepted([*ACCEPTED.jobs, replace(ACCEPTED.jobs[0], place="1/2")], ACCEPTED.characters, ACCEPTED.locations)
    assert Kind.DUPLICATED in kinds(SOUND, twice)


def test_a_job_that_has_not_ended_is_not_counted_as_terminal() -> None:
    assert terminal(ACCEPTED, with_body("jobs", state="rendering")) == 0
