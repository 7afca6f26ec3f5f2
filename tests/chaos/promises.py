"""Whether what clients were promised is there, once, and nothing that nobody asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.chaos.evidence import Accepted, AcceptedJob, Evidence, StoredDocument
from tests.chaos.findings import Finding, Kind

FINISHED = ("succeeded", "failed", "cancelled")
ANSWERS = ("analyses", "mattes")
"""Collections that hold one answer to each version of a character."""
OWNERS = {"prompts": ("jobs",), "cast": ("characters", "locations")}
"""Collections whose documents have the id of what they belong to, and where that stands."""

Named = Mapping[tuple[str, str], StoredDocument]


def lost_jobs(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find accepted jobs that are gone, have not ended, are of another shot, or were cancelled and are not."""
    jobs = _named(evidence, "jobs")
    for promised in accepted.jobs:
        job = jobs.get((promised.project, promised.id))
        if job is None:
            yield Finding(Kind.LOST, f"job {promised.project}/{promised.id}", "was accepted and does not exist")
        else:
            yield from _lost(promised, job)
    for project, id in sorted(accepted.cancelled):
        job = jobs.get((project, id))
        if job is not None and job.body["state"] != "cancelled":
            yield Finding(Kind.LOST, job.name, f"was cancelled and is {job.body['state']}")


def lost_submissions(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find submissions that are gone, and shots that have become no job."""
    submissions = _named(evidence, "submissions")
    for project, id in sorted(accepted.submissions - set(submissions)):
        yield Finding(Kind.LOST, f"submission {project}/{id}", "was accepted and does not exist")
    made = {(job.project, job.body["submission_id"], place_of(job.body["shot"])) for job in evidence.of("jobs")}
    for submission in submissions.values():
        if not submission.body["fanned_out"]:
            yield Finding(Kind.LOST, submission.name, "is not fanned out")
        for shot in submission.body["shots"]:
            if (submission.project, submission.id, place_of(shot)) not in made:
                yield Finding(Kind.LOST, submission.name, f"has no job for the shot {place_of(shot)}")


def lost_cast(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find members of the cast that are gone, characters that are not READY, and answers to them that are gone."""
    for collection, members in (("characters", accepted.characters), ("locations", accepted.locations)):
        for project, id in sorted(members - set(_named(evidence, collection))):
            yield Finding(Kind.LOST, f"{collection} {project}/{id}", "was accepted and does not exist")
    answers = {
        (collection, answer.project, answer.body["character_id"], answer.body["version"])
        for collection in ANSWERS
        for answer in evidence.of(collection)
    }
    for character in evidence.of("characters"):
        if character.body["state"] != "ready":
            yield Finding(Kind.LOST, character.name, f"is {character.body['state']}")
        version = character.body["ingested_version"]
        for collection in ANSWERS:
            if (collection, character.project, character.id, version) not in answers:
                yield Finding(Kind.LOST, character.name, f"has nothing in {collection} for its version {version}")


def unasked(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find what was promised to nobody, unless it is of a request that a client has sent and got no answer to."""
    asked = {(each.project, each.id) for each in accepted.asked}
    for collection, promised in (
        ("submissions", accepted.submissions),
        ("characters", accepted.characters),
        ("locations", accepted.locations),
    ):
        for document in evidence.of(collection):
            if (document.project, document.id) not in promised | asked:
                yield Finding(Kind.UNASKED, document.name, "was asked for by nobody")
    jobs = {(job.project, job.id) for job in accepted.jobs}
    for job in evidence.of("jobs"):
        submission = (job.project, job.body["submission_id"])
        unanswered = submission in asked and submission not in accepted.submissions
        if (job.project, job.id) not in jobs and not unanswered:
            yield Finding(Kind.UNASKED, job.name, f"of {submission[1]} was promised to nobody")


def strays(_: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find documents that belong to something that does not exist."""
    for collection, owners in OWNERS.items():
        owning = {named for owner in owners for named in _named(evidence, owner)}
        for document in evidence.of(collection):
            if (document.project, document.id) not in owning:
                yield Finding(Kind.UNASKED, document.name, f"belongs to nothing in {' or '.join(owners)}")
    characters = _named(evidence, "characters")
    for collection in ANSWERS:
        for answer in evidence.of(collection):
            if (answer.project, answer.body["character_id"]) not in characters:
                yield Finding(Kind.UNASKED, answer.name, "belongs to no character")


def doubled(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find shots of a project with more than one job, whatever submission made them, and jobs promised twice."""
    stored = Counter((job.project, place_of(job.body["shot"])) for job in evidence.of("jobs"))
    promised = Counter((job.project, job.place) for job in accepted.jobs)
    for counted, made in ((stored, "has"), (promised, "was promised")):
        for (project, place), count in counted.items():
            if count > 1:
                yield Finding(Kind.DUPLICATED, f"shot {project} {place}", f"{made} {count} jobs")
    for (project, id), count in Counter((job.project, job.id) for job in accepted.jobs).items():
        if count > 1:
            yield Finding(Kind.DUPLICATED, f"job {project}/{id}", f"was promised for {count} shots")


def unseen(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find jobs whose end the clients that watched them have not seen, or seen otherwise."""
    jobs = _named(evidence, "jobs")
    for (project, id), state in sorted(accepted.watched.items()):
        job = jobs.get((project, id))
        if job is not None and job.body["state"] != state:
            yield Finding(Kind.UNSEEN, job.name, f"is {job.body['state']}, its watcher saw {state} at last")


def place_of(shot: Mapping[str, object]) -> str:
    """Return the scene and number of a shot."""
    return f"{shot['scene_id']}/{shot['shot_number']}"


def _lost(promised: AcceptedJob, job: StoredDocument) -> Iterator[Finding]:
    if job.body["state"] not in FINISHED:
        yield Finding(Kind.LOST, job.name, f"was accepted and is {job.body['state']}")
    if place_of(job.body["shot"]) != promised.place:
        yield Finding(Kind.LOST, job.name, f"was accepted as {promised.place} and is {place_of(job.body['shot'])}")


def _named(evidence: Evidence, collection: str) -> Named:
    return {(document.project, document.id): document for document in evidence.of(collection)}
