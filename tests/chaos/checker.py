"""Whether what was promised is there: pure functions from what was accepted and found to what is amiss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.chaos.event_checks import event_findings
from tests.chaos.event_order import order_findings
from tests.chaos.evidence import Accepted, Evidence, StoredDocument
from tests.chaos.findings import Finding, Kind
from tests.chaos.promises import (
    FINISHED,
    doubled,
    lost_cast,
    lost_jobs,
    lost_submissions,
    strays,
    unasked,
    unseen,
)

REFERENCE = frozenset({"key", "sha256", "size_bytes"})


def check(accepted: Accepted, evidence: Evidence) -> list[Finding]:
    """Return all that is amiss."""
    return [finding for each in CHECKS for finding in each(accepted, evidence)]


def terminal(accepted: Accepted, evidence: Evidence) -> int:
    """Return how many accepted jobs have ended."""
    states = {(job.project, job.id): job.body["state"] for job in evidence.of("jobs")}
    return sum(states.get((job.project, job.id)) in FINISHED for job in accepted.jobs)


def unreferenced(documents: Iterable[StoredDocument], keys: Iterable[str]) -> set[str]:
    """Return the keys of objects that no document names."""
    return set(keys) - {text for document in documents for text in _texts(document.body)}


def failed(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find what went wrong with a shot or a photograph: each can be drawn and matted, so a fault has failed it."""
    for job in evidence.of("jobs"):
        if job.body["state"] == "failed":
            yield Finding(Kind.FAILED, job.name, str(job.body["failure"]))
    for character in evidence.of("characters"):
        for failure in ("analysis_failure", "matting_failure"):
            if character.body.get(failure):
                yield Finding(Kind.FAILED, character.name, f"{failure}: {character.body[failure]}")


def applied_twice(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find events that were applied twice."""
    for document in evidence.documents:
        if len(set(document.inbox)) < len(document.inbox):
            yield Finding(Kind.DUPLICATED, document.name, "has an event in its inbox twice")


def damaged(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find references to bytes that are gone or others, and pictures that are missing."""
    for document in evidence.documents:
        for reference in _references(document.body):
            found = evidence.objects.get(reference["key"])
            if found is None:
                yield Finding(Kind.DAMAGED, document.name, f"refers to {reference['key']}, which does not exist")
            elif (found.sha256, found.size_bytes) != (reference["sha256"], reference["size_bytes"]):
                yield Finding(Kind.DAMAGED, document.name, f"refers to other bytes than lie under {found.key}")
    for job in evidence.of("jobs"):
        if job.body["state"] == "succeeded" and not job.body.get("keyframe"):
            yield Finding(Kind.DAMAGED, job.name, "succeeded without a keyframe")


def orphans(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find objects that no document names."""
    for key in sorted(unreferenced(evidence.documents, evidence.objects)):
        yield Finding(Kind.ORPHANED, f"object {key}", "is named by no document")


def leases(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find jobs that somebody holds or that still stand in line."""
    for job in evidence.of("jobs"):
        if job.body["state"] == "rendering" or job.body.get("lease_token"):
            yield Finding(Kind.LEASED, job.name, f"is {job.body['state']} under a lease")
        if job.body["state"] in FINISHED and job.body.get("line_key") is not None:
            yield Finding(Kind.LEASED, job.name, "has ended and stands in line")


def delivery(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find events that wait somewhere."""
    for document in evidence.documents:
        if document.waiting_events:
            yield Finding(Kind.UNPUBLISHED, document.name, f"has {document.waiting_events} events in its outbox")
        if document.collection.endswith("_held_events"):
            kind = Kind.DEAD if document.body["state"] == "dead" else Kind.HELD
            yield Finding(kind, document.name, f"is {document.body['state']}: {document.body['failure']}")
    for (group, topic), count in sorted(evidence.unhandled.items()):
        if count:
            yield Finding(Kind.UNHANDLED, f"{group} on {topic}", f"has {count} events before it")
    for event in evidence.events:
        if event.topic.endswith(".dead"):
            yield Finding(Kind.DEAD, f"{event.type} {event.id}", f"is a dead letter on {event.topic}")


def projection(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find members of the cast that rendering does not know as they are, and pictures drawn without a prompt."""
    known = {(each.project, each.id): each.body["version"] for each in evidence.of("cast")}
    for member in (*evidence.of("characters"), *evidence.of("locations")):
        version = known.get((member.project, member.id))
        if version != member.body["version"]:
            yield Finding(Kind.UNAPPLIED, member.name, f"has version {member.body['version']}, its cast {version}")
    prompted = {(each.project, each.id) for each in evidence.of("prompts")}
    for job in evidence.of("jobs"):
        if job.body["state"] == "succeeded" and (job.project, job.id) not in prompted:
            yield Finding(Kind.UNAPPLIED, job.name, "succeeded and has no prompt")


CHECKS: tuple[Callable[[Accepted, Evidence], Iterable[Finding]], ...] = (
    lost_jobs,
    lost_submissions,
    lost_cast,
    unasked,
    strays,
    doubled,
    unseen,
    failed,
    applied_twice,
    damaged,
    orphans,
    leases,
    delivery,
    projection,
    event_findings,
    order_findings,
)


def _references(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if value.keys() >= REFERENCE:
            yield value
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
