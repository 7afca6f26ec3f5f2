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
    PROMPT_LOOK_S,
    READY,
    RENDERING,
    REQUESTED,
    SUCCEEDED,
    UNFINISHED,
    WAITING,
    Deadlines,
    cancelled,
    cast_found,
    cast_lacks,
    expired,
    failed,
    looked_at,
    prompt_failed,
    prompted,
    submitted,
)
from services.rendering.domain.lease import (
    MAX_ATTEMPTS,
    MAX_CRASHES,
    attempt_failed,
    handed_back,
    interrupted,
    lease_lapsed,
    lease_renewed,
    rendered,
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

DEADLINES = Deadlines(cast_s=600.0, prompt_s=86_400.0)


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
    change = rendered(job_in(RENDERING), TOKEN, [KEYFRAME], 109.0)
    job = after(change)
    timings = job.keyframe.timings
    assert (job.state, job.attempts, job.lease_token) == (SUCCEEDED, 1, "")
    assert (timings.cast_s, timings.prompt_s, timings.queue_s) == (2.0, 2.0, 2.0)
    assert (timings.render_s, timings.store_s) == (2.0, 0.5)
    assert change.events == [KeyframeRendered(job.id, job.film, job.shot, job.keyframe, PROMPT, (job.keyframe,))]


@pytest.mark.parametrize("state", EVERY_STATE)
@pytest.mark.parametrize(
    "act",
    [
        lambda job, token: rendered(job, token, [KEYFRAME], 200.0),
        lambda job, token: attempt_failed(job, token, FAILURE, 200.0, retry_after_s=2.0),
        lambda job, token: attempt_failed(job, token, FAILURE, 200.0, retry_after_s=None),
        lambda job, token: interrupted(job, token, FAILURE, 1.0, 200.0),
        lambda job, token: lease_lapsed(job, token, 126.0, 200.0),
        lambda job, token: handed_back(job, token, 200.0),
        lambda job, token: lease_renewed(job, token, 220.0),
    ],
    ids=["rendered", "retry", "refused", "interrupted", "lapsed", "handed-back", "renewed"],
)
def test_a_worker_without_the_lease_changes_nothing(state, act):
    assert act(job_in(state), "worker-2") is None
    assert act(job_in(state), "") is None
    assert (act(job_in(state), TOKEN) is None) == (state != RENDERING)


def test_a_failed_attempt_keeps_its_place_its_reason_and_waits_a_while_out_of_line():
    before = job_in(RENDERING)
    change = attempt_failed(before, TOKEN, FAILURE, 110.0, retry_after_s=2.0)
    job = after(change)
    assert (job.state, job.attempts, job.look_time, job.lease_token, job.line_key) == (READY, 1, 112.0, "", None)
    assert (job.queue_key, job.last_failure, job.failure) == (before.queue_key, FAILURE, None)
    assert not change.events
    assert looked_at(job, 111.9, DEADLINES) is None
    again = after(looked_at(job, 112.0, DEADLINES))
    assert (again.state, again.line_key, again.look_time) == (READY, before.queue_key, None)


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


def test_a_job_over_which_the_renderer_died_twice_is_not_risked_again_whatever_else_failed_between():
    job = job_in(READY)
    job = after(attempt_failed(leased(job), TOKEN, FAILURE, 110.0, retry_after_s=2.0, crashed=True))
    assert (job.state, job.attempts, job.crashes) == (READY, 1, 1)
    job = after(interrupted(leased(job), TOKEN, FAILURE, 1.0, 110.0))
    assert (job.state, job.crashes) == (READY, 1)
    change = attempt_failed(leased(job), TOKEN, FAILURE, 110.0, retry_after_s=2.0, crashed=True)
    assert (after(change).state, after(change).attempts, after(change).crashes) == (FAILED, 2, MAX_CRASHES)
    assert [type(event) for event in change.events] == [KeyframeFailed]


def test_a_job_that_kills_its_workers_fails_after_three():
    job = job_in(READY)
    for attempts in (1, 2):
        job = after(lease_lapsed(leased(job, until=126.0), TOKEN, 126.0, 130.0))
        assert (job.state, job.attempts, job.line_key) == (READY, attempts, job.queue_key)
    change = lease_lapsed(leased(job, until=126.0), TOKEN, 126.0, 130.0)
    assert (after(change).state, after(change).attempts) == (FAILED, 3)
    assert after(change).failure.reason == "WORKER_LOST"
    assert [type(event) for event in change.events] == [KeyframeFailed]


def test_a_lease_that_was_renewed_meanwhile_has_not_lapsed():
    renewed = after(lease_renewed(job_in(RENDERING), TOKEN, 136.0))
    assert lease_lapsed(renewed, TOKEN, 126.0, 130.0) is None


def test_a_job_handed_back_stands_in_line_again_and_is_not_blamed():
    job = after(handed_back(job_in(RENDERING), TOKEN, 110.0))
    assert (job.state, job.attempts, job.line_key, job.lease_token) == (READY, 0, job.queue_key, "")


def test_only_a_ready_job_that_waits_for_nothing_stands_in_line():
    assert {state: job_in(state).line_key is not None for state in EVERY_STATE} == {
        state: state == READY for state in EVERY_STATE
    }


@pytest.mark.parametrize("state", [WAITING, REQUESTED, READY, RENDERING])
def test_a_job_expires_wherever_it_stands(state):
    job = job_in(state, time_to_live=50.0)
    assert expired(job, 149.9) is None
    change = expired(job, 150.0)
    ended = after(change)
    assert (ended.state, ended.failure.reason) == (FAILED, "JOB_EXPIRED")
    assert ended.failure.message == "it was not done within the 50 s that it had"
    assert [type(event) for event in change.events] == [KeyframeFailed]


@pytest.mark.parametrize("state", [WAITING, REQUESTED, READY])
def test_a_job_is_looked_at_no_later_than_it_expires(state):
    job = job_in(state, time_to_live=4.5)
    assert job.look_time <= 104.5
    assert after(looked_at(job, 104.5, DEADLINES)).state == FAILED


@pytest.mark.parametrize("state", FINISHED)
def test_a_finished_job_is_not_looked_at_and_does_not_expire(state):
    job = job_in(state, time_to_live=50.0)
    assert job.look_time is None
    assert looked_at(job, 1e9, DEADLINES) is None
    assert expired(job, 1e9) is None


def test_an_attempt_that_fails_at_the_deadline_is_the_last():
    job = after(attempt_failed(job_in(RENDERING, time_to_live=50.0), TOKEN, FAILURE, 150.0, retry_after_s=2.0))
    assert (job.state, job.failure.reason, job.last_failure, job.attempts) == (FAILED, "JOB_EXPIRED", FAILURE, 1)


def test_a_request_for_a_prompt_tells_when_the_job_expires():
    (event,) = cast_found(job_in(WAITING, time_to_live=50.0), FrozenCast((WARD,)), 102.0).events
    assert event.expire_time == 150.0


def test_a_prompt_that_never_came_is_asked_for_again_once_in_a_while():
    job = job_in(REQUESTED)
    assert looked_at(job, 102.0 + PROMPT_LOOK_S - 1, DEADLINES) is None
    change = looked_at(job, 102.0 + PROMPT_LOOK_S, DEADLINES)
    assert [type(event) for event in change.events] == [RenderRequested]
    assert looked_at(after(change), 102.0 + PROMPT_LOOK_S, DEADLINES) is None


def test_a_prompts_service_that_is_behind_is_asked_again_less_and_less_often():
    job, pauses = job_in(REQUESTED), []
    for _ in range(7):
        now = job.look_time
        job = after(looked_at(job, now, DEADLINES))
        pauses.append(job.look_time - now)
    assert pauses == [120.0, 240.0, 480.0, 600.0, 600.0, 600.0, 600.0]


def test_a_job_whose_prompt_never_comes_fails_at_its_deadline_with_a_reason_of_its_own():
    job, asked = job_in(REQUESTED), 0
    while job.state == REQUESTED:
        now = job.look_time
        change = looked_at(job, now, DEADLINES)
        asked += sum(type(event) is RenderRequested for event in change.events)
        job = after(change)
    assert now == job.requested_time + DEADLINES.prompt_s
    assert (job.failure.reason, job.failure.metadata) == ("PROMPT_MISSING", {"limit_s": "86400.0"})
    assert asked < 200


@pytest.mark.parametrize("state", [WAITING, REQUESTED])
def test_who_was_off_for_a_week_gives_no_job_up_for_that(state):
    job = job_in(state)
    for look in range(5):
        job = after(looked_at(job, job.look_time + (look + 1) * 604_800.0, DEADLINES))
    assert job.state == state


def test_the_time_that_a_job_waited_for_its_cast_is_not_taken_from_its_prompts():
    waiting = job_in(WAITING)
    for _ in range(10):
        waiting = after(looked_at(waiting, waiting.look_time, DEADLINES))
    requested = after(cast_found(waiting, FrozenCast((WARD,), PAD), waiting.look_time))
    assert (waiting.looks, requested.looks) == (10, 0)


def test_a_job_that_waits_for_its_cast_is_looked_at_less_and_less_often():
    job, pauses = job_in(WAITING), []
    for _ in range(8):
        now = job.look_time
        job = after(looked_at(job, now, DEADLINES))
        pauses.append(job.look_time - now)
    assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_a_job_whose_cast_never_comes_is_looked_at_when_its_deadline_passes_and_fails():
    job = job_in(WAITING)
    submitted_time = job.update_time
    while job.state == WAITING:
        now = job.look_time
        job = after(looked_at(job, now, DEADLINES))
    assert now == submitted_time + DEADLINES.cast_s
    assert job.failure.reason == "CAST_INCOMPLETE"


def test_a_time_to_look_that_a_wrong_clock_put_far_ahead_does_not_strand_the_job():
    strayed = after(attempt_failed(job_in(RENDERING), TOKEN, FAILURE, 3_710.0, retry_after_s=2.0))
    assert after(looked_at(strayed, 110.0, DEADLINES)).line_key is not None
    in_line_for_days = job_in(READY, time_to_live=86_400.0)
    assert looked_at(in_line_for_days, 110.0, DEADLINES) is None


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
