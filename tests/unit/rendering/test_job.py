from __future__ import annotations

from dataclasses import replace

import pytest

from services.rendering.domain.cast import CastMember, FrozenCast
from services.rendering.domain.errors import JobFinished
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, KeyframeRendered, RenderRequested
from services.rendering.domain.job import (
    CANCELLED,
    FAILED,
    FINISHED,
    MAX_ATTEMPTS,
    READY,
    RENDERING,
    REQUESTED,
    SUCCEEDED,
    UNFINISHED,
    WAITING,
    attempt_failed,
    cancelled,
    cast_found,
    cast_lacks,
    failed,
    handed_back,
    lease_renewed,
    prompt_failed,
    prompted,
    rendered,
    submitted,
    worker_lost,
)
from tests.unit.rendering.builders import (
    EVERY_STATE,
    FAILURE,
    KEYFRAME,
    PAD,
    PROMPT,
    TOKEN,
    WARD,
    after,
    job_in,
    leased,
    shot,
    submission,
)


def but(*states: str) -> list[str]:
    return [state for state in EVERY_STATE if state not in states]


def test_a_submitted_shot_waits_for_its_cast_under_an_id_that_follows_from_submission_and_shot():
    job = submitted(submission(shot(1), shot(2)), 1, 101.0)
    assert (job.state, job.shot.shot_number, job.create_time) == (WAITING, 2, 100.0)
    assert job.id == submitted(submission(shot(1), shot(2)), 1, 999.0).id
    assert job.id != submitted(submission(shot(1), shot(2), id="another"), 1, 101.0).id


def test_a_job_whose_cast_is_found_freezes_it_and_asks_for_its_prompt():
    change = cast_found(job_in(WAITING), FrozenCast((WARD,), PAD), 102.0)
    job = after(change)
    assert (job.state, job.waiting_for) == (REQUESTED, None)
    assert job.cast == (CastMember("ward", "Ward", 3), CastMember("pad", "Pad Nine", 1))
    assert change.events == [RenderRequested(job.id, job.film, job.shot, (WARD.content,), PAD.content, 5)]


def test_a_job_without_a_location_asks_for_a_prompt_without_one():
    assert after(cast_found(job_in(WAITING), FrozenCast((WARD,)), 102.0)).location is None


def test_a_job_notes_who_is_missing_once():
    waiting = after(cast_lacks(job_in(WAITING), "ward", 102.0))
    assert (waiting.state, waiting.waiting_for) == (WAITING, "ward")
    assert cast_lacks(waiting, "ward", 103.0) is None
    assert after(cast_lacks(waiting, "pad", 103.0)).waiting_for == "pad"


@pytest.mark.parametrize("state", but(WAITING))
def test_a_cast_that_comes_again_changes_nothing(state):
    assert cast_found(job_in(state), FrozenCast((replace(WARD, version=4),)), 200.0) is None
    assert cast_lacks(job_in(state), "ward", 200.0) is None


def test_a_prompt_puts_a_job_into_the_queue():
    job = after(prompted(job_in(REQUESTED), PROMPT, 104.0))
    assert (job.state, job.prompt, job.ready_time) == (READY, PROMPT, 104.0)


@pytest.mark.parametrize("state", but(REQUESTED))
def test_a_prompt_that_comes_early_late_or_again_changes_nothing(state):
    assert prompted(job_in(state), replace(PROMPT, seed=8), 200.0) is None
    assert prompt_failed(job_in(state), FAILURE, 200.0) is None


def test_a_job_without_a_prompt_fails_with_the_reason():
    change = prompt_failed(job_in(REQUESTED), FAILURE, 104.0)
    job = after(change)
    assert (job.state, job.failure) == (FAILED, FAILURE)
    assert change.events == [KeyframeFailed(job.id, job.film, job.shot, FAILURE)]


def test_a_picture_ends_a_job_with_the_time_of_every_stage():
    change = rendered(job_in(RENDERING), TOKEN, KEYFRAME, 109.0)
    job = after(change)
    timings = job.keyframe.timings
    assert (job.state, job.attempts, job.lease_token) == (SUCCEEDED, 1, "")
    assert (timings.cast_s, timings.prompt_s, timings.queue_s) == (2.0, 2.0, 2.0)
    assert (timings.render_s, timings.store_s) == (2.0, 0.5)
    assert change.events == [KeyframeRendered(job.id, job.film, job.shot, job.keyframe, PROMPT)]


@pytest.mark.parametrize("state", EVERY_STATE)
@pytest.mark.parametrize(
    "act",
    [
        lambda job, token: rendered(job, token, KEYFRAME, 200.0),
        lambda job, token: attempt_failed(job, token, FAILURE, 200.0, retry_after_s=2.0),
        lambda job, token: attempt_failed(job, token, FAILURE, 200.0, retry_after_s=None),
        lambda job, token: worker_lost(job, token, FAILURE, 200.0),
        lambda job, token: handed_back(job, token, 1.0, 200.0),
        lambda job, token: lease_renewed(job, token, 220.0),
    ],
    ids=["rendered", "retry", "refused", "lost", "handed-back", "renewed"],
)
def test_a_worker_without_the_lease_changes_nothing(state, act):
    assert act(job_in(state), "worker-2") is None
    assert act(job_in(state), "") is None
    assert (act(job_in(state), TOKEN) is None) == (state != RENDERING)


def test_a_failed_attempt_goes_back_to_its_place_in_the_queue_and_waits_a_while():
    before = job_in(RENDERING)
    change = attempt_failed(before, TOKEN, FAILURE, 110.0, retry_after_s=2.0)
    job = after(change)
    assert (job.state, job.attempts, job.not_before, job.lease_token) == (READY, 1, 112.0, "")
    assert job.queue_key == before.queue_key
    assert not change.events


def test_a_job_fails_for_good_after_three_attempts_with_the_last_reason():
    job = job_in(READY)
    for _ in range(MAX_ATTEMPTS - 1):
        job = after(attempt_failed(leased(job), TOKEN, FAILURE, 110.0, retry_after_s=2.0))
    change = attempt_failed(leased(job), TOKEN, replace(FAILURE, reason="LAST"), 110.0, retry_after_s=2.0)
    job = after(change)
    assert (job.state, job.attempts, job.failure.reason) == (FAILED, 3, "LAST")
    assert [type(event) for event in change.events] == [KeyframeFailed]


def test_a_job_that_can_never_work_fails_at_once():
    job = after(attempt_failed(job_in(RENDERING), TOKEN, FAILURE, 110.0, retry_after_s=None))
    assert (job.state, job.attempts) == (FAILED, 1)


def test_a_job_that_kills_its_workers_fails_after_three():
    job = job_in(RENDERING)
    for taken_over in ("worker-2", "worker-3"):
        job = after(worker_lost(leased(job, taken_over), taken_over, FAILURE, 130.0))
        assert job.state == RENDERING
    change = worker_lost(leased(job, "worker-4"), "worker-4", FAILURE, 130.0)
    assert (after(change).state, after(change).attempts) == (FAILED, 3)
    assert [type(event) for event in change.events] == [KeyframeFailed]


def test_a_job_handed_back_is_not_blamed():
    job = after(handed_back(job_in(RENDERING), TOKEN, 1.0, 110.0))
    assert (job.state, job.attempts, job.not_before, job.lease_token) == (READY, 0, 111.0, "")


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_job_can_be_cancelled_until_it_is_finished(state):
    change = cancelled(job_in(state), 110.0)
    job = after(change)
    assert (job.state, job.lease_token, job.waiting_for) == (CANCELLED, "", None)
    assert change.events == [KeyframeCancelled(job.id, job.film, job.shot)]


def test_cancelling_twice_is_the_same_as_once():
    assert cancelled(job_in(CANCELLED), 110.0) is None


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED])
def test_a_finished_job_cannot_be_cancelled_and_says_why(state):
    with pytest.raises(JobFinished, match=f"is {state} already"):
        cancelled(job_in(state), 110.0)


@pytest.mark.parametrize("state", FINISHED)
def test_a_finished_job_does_not_fail(state):
    assert failed(job_in(state), FAILURE, 110.0) is None


def test_the_queue_goes_by_priority_then_arrival_then_place_in_the_submission():
    shots = (shot(1), shot(2), shot(3))
    first = submission(*shots, create_time=1_800_000_000.0)
    later = submission(*shots, create_time=1_800_000_000.01)
    urgent = submission(*shots, create_time=1_800_000_999.0, priority=1)
    order = [(urgent, 0), (urgent, 1), (urgent, 2), (first, 0), (first, 1), (first, 2), (later, 0), (later, 1)]
    keys = [submitted(asked, position, 0.0).queue_key for asked, position in order]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("priority", [0, 100])
def test_a_queue_key_fits_a_signed_64_bit_integer_until_the_year_2200(priority):
    far = submission(create_time=7_258_118_400.0, priority=priority)
    assert 0 < submitted(far, 0, 0.0).queue_key < 2**63
    more_urgent = submission(create_time=7_258_118_400.0, priority=priority + 1)
    assert submitted(more_urgent, 0, 0.0).queue_key < submitted(submission(priority=priority), 0, 0.0).queue_key
