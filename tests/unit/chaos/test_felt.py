from __future__ import annotations

from typing import Any

from tests.chaos.distributed import unexercised
from tests.chaos.evidence import Accepted, Evidence, StoredDocument
from tests.chaos.felt import felt, unfelt
from tests.chaos.findings import Kind
from tests.chaos.schedule import Fault

CALM: dict[str, Any] = {"state": "succeeded", "attempts": 1, "interruptions": 0, "last_failure": None}


def jobs(*bodies: dict[str, Any]) -> Evidence:
    return Evidence(tuple(StoredDocument("jobs", "film", str(id), 1, body) for id, body in enumerate(bodies)))


def test_a_run_in_which_nothing_happened_is_told_from_one_that_was_felt() -> None:
    assert set(felt(jobs(CALM, CALM)).values()) == {0}
    taken_over = CALM | {"attempts": 2, "last_failure": {"reason": "WORKER_LOST"}}
    interrupted = CALM | {"interruptions": 3, "last_failure": {"reason": "RENDERER_DOWN"}}
    given_up = CALM | {"state": "cancelled", "attempts": 1, "last_failure": {"reason": "INTERNAL"}}
    assert felt(jobs(CALM, taken_over, interrupted, given_up)) == {
        "lease_take_overs": 1,
        "interrupted_renders": 3,
        "failed_attempts": 2,
        "set_back": 3,
    }


def test_a_complete_run_must_be_felt() -> None:
    found = list(unfelt(Accepted(), jobs(CALM)))
    assert {finding.kind for finding in found} == {Kind.UNEXERCISED}
    assert len(found) == 4
    struck = CALM | {"interruptions": 1, "attempts": 2}
    met = Accepted(cancelled={("film", "1")}, watched={("film", "1"): "cancelled"})
    assert list(unfelt(met, jobs(struck))) == []


def test_a_fault_that_was_skipped_is_amiss_unless_that_is_allowed() -> None:
    skipped = {Fault.CLOCK: "there is no C compiler"}
    done = set(Fault) - {Fault.CLOCK}
    (found,) = unexercised(done, skipped, allowed=())
    assert (found.kind, found.subject) == (Kind.UNEXERCISED, Fault.CLOCK)
    assert "there is no C compiler" in found.text
    assert unexercised(done, skipped, allowed=skipped) == []


def test_a_fault_that_met_nobody_is_amiss() -> None:
    (found,) = unexercised(set(Fault) - {Fault.FREEZE}, {}, allowed=())
    assert "it met nobody" in found.text
