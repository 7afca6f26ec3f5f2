"""What the faults have done to the work: a run in which nothing happened has shown nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.chaos.evidence import Accepted, Evidence
from tests.chaos.findings import Finding, Kind

TAKEN_OVER = "WORKER_LOST"


def felt(evidence: Evidence) -> Mapping[str, int]:
    """Return how often work was disturbed, as the jobs remember it.

    ``lease_take_overs`` counts jobs whose last failure was a worker that was not heard of again; there may be more, for
    the next failure takes its place. ``interrupted_renders`` counts how often the renderer went away under a job,
    ``failed_attempts`` the attempts that were counted and gave no picture, those of lost workers among them,
    ``set_back`` the jobs that went back into the line for any reason.
    """
    jobs = [job.body for job in evidence.of("jobs")]
    failures = [failure["reason"] for job in jobs if (failure := job.get("last_failure"))]
    return {
        "lease_take_overs": failures.count(TAKEN_OVER),
        "interrupted_renders": sum(job.get("interruptions", 0) for job in jobs),
        "failed_attempts": sum(job.get("attempts", 0) - (job["state"] == "succeeded") for job in jobs),
        "set_back": len(failures),
    }


def unfelt(accepted: Accepted, evidence: Evidence) -> Iterator[Finding]:
    """Find what must have happened in a run of full length and has not."""
    seen = felt(evidence)
    for name in ("failed_attempts", "interrupted_renders"):
        if not seen[name]:
            yield Finding(Kind.UNEXERCISED, name, "were none: no fault has struck a worker at its work")
    for name, those in (("cancellations", accepted.cancelled), ("watched jobs", accepted.watched)):
        if not those:
            yield Finding(Kind.UNEXERCISED, name, "were none")
