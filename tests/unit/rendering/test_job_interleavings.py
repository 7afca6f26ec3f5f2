from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from continuity.kernel.values import Change
from services.rendering.domain.cast import FrozenCast
from services.rendering.domain.errors import JobFinished
from services.rendering.domain.events import KeyframeCancelled, KeyframeFailed, KeyframeRendered
from services.rendering.domain.job import (
    CANCELLED,
    FAILED,
    FINISHED,
    READY,
    RENDERING,
    SUCCEEDED,
    UNFINISHED,
    WAITING,
    Deadlines,
    Job,
    cancelled,
    cast_found,
    cast_lacks,
    expired,
    failed,
    looked_at,
    prompt_failed,
    prompted,
)
from services.rendering.domain.lease import (
    MAX_ATTEMPTS,
    MAX_INTERRUPTIONS,
    attempt_failed,
    handed_back,
    interrupted,
    lease_lapsed,
    lease_renewed,
    rendered,
)
from tests.unit.rendering.builders import FAILURE, KEYFRAME, PAD, PROMPT, WARD, job_in, leased

END = {KeyframeRendered: SUCCEEDED, KeyframeFailed: FAILED, KeyframeCancelled: CANCELLED}
WORKERS = st.sampled_from(["worker-1", "worker-2", "worker-3"])


class AnyInterleaving(RuleBasedStateMachine):
    """Whatever happens to a job in whatever order, with stale workers and repeated events among it."""

    @initialize()
    def submit(self) -> None:
        self.job: Job = job_in(WAITING, time_to_live=1e6)
        self.ends: list[object] = []
        self.begun = 0

    def apply(self, change: Change[Job] | None) -> None:
        if change is None:
            return
        assert not self.job.finished
        self.job = change.aggregate
        self.ends += [event for event in change.events if type(event) in END]

    @rule(missing=st.sampled_from(["ward", "pad"]))
    def somebody_is_missing(self, missing: str) -> None:
        self.apply(cast_lacks(self.job, missing, 1.0))

    @rule()
    def the_cast_is_ready(self) -> None:
        self.apply(cast_found(self.job, FrozenCast((WARD,), PAD), 2.0))

    @rule()
    def the_prompt_is_built(self) -> None:
        self.apply(prompted(self.job, PROMPT, 3.0))

    @rule()
    def the_prompt_fails(self) -> None:
        self.apply(prompt_failed(self.job, FAILURE, 3.0))

    @precondition(lambda self: self.job.state == WAITING)
    @rule()
    def the_deadline_passes(self) -> None:
        self.apply(failed(self.job, FAILURE, 3.0))

    @precondition(lambda self: self.job.line_key is not None)
    @rule(worker=WORKERS)
    def a_worker_takes_it(self, worker: str) -> None:
        self.begun += 1
        self.job = leased(self.job, worker)

    @rule(worker=WORKERS, until=st.sampled_from([30.0, 126.0]))
    def the_lease_lapses(self, worker: str, until: float) -> None:
        self.apply(lease_lapsed(self.job, worker, until, 4.0))

    @rule(now=st.sampled_from([10.0, 200.0, 2e6]))
    def the_reconciler_looks(self, now: float) -> None:
        self.apply(looked_at(self.job, now, Deadlines(600.0, 600.0)))

    @rule()
    def its_time_is_over(self) -> None:
        self.apply(expired(self.job, 2e6))
        assert self.job.finished

    @rule(worker=WORKERS)
    def the_renderer_goes_away(self, worker: str) -> None:
        self.apply(interrupted(self.job, worker, FAILURE, 1.0, 5.0))

    @rule(worker=WORKERS)
    def a_worker_has_the_picture(self, worker: str) -> None:
        self.apply(rendered(self.job, worker, [replace(KEYFRAME, renderer=worker)], 5.0))
        if self.job.keyframe is not None:
            assert self.ends[0].keyframe == self.job.keyframe  # type: ignore[attr-defined]

    @rule(worker=WORKERS, retry_after_s=st.sampled_from([None, 2.0]))
    def an_attempt_fails(self, worker: str, retry_after_s: float | None) -> None:
        self.apply(attempt_failed(self.job, worker, FAILURE, 5.0, retry_after_s=retry_after_s))

    @rule(worker=WORKERS)
    def a_worker_hands_it_back(self, worker: str) -> None:
        self.apply(handed_back(self.job, worker, 5.0))

    @rule(worker=WORKERS)
    def a_worker_renews(self, worker: str) -> None:
        self.apply(lease_renewed(self.job, worker, 30.0))

    @rule()
    def somebody_cancels(self) -> None:
        before = self.job.state
        try:
            self.apply(cancelled(self.job, 6.0))
        except JobFinished:
            assert before in (SUCCEEDED, FAILED)
            assert self.job.state == before
        else:
            assert before in (*UNFINISHED, CANCELLED)
            assert self.job.state == CANCELLED

    @invariant()
    def it_ends_once_and_tells_so_once(self) -> None:
        assert [END[type(event)] for event in self.ends] == ([self.job.state] if self.job.finished else [])

    @invariant()
    def a_state_has_what_belongs_to_it(self) -> None:
        job = self.job
        assert bool(job.lease_token) == (job.state == RENDERING)
        assert job.waiting_for is None or job.state == WAITING
        assert (job.keyframe is not None) == (job.state == SUCCEEDED)
        assert job.line_key is None or job.state == READY
        assert (job.failure is not None) == (job.state == FAILED)
        assert job.prompt is not None or job.state not in (READY, RENDERING, SUCCEEDED)
        assert job.finished == (job.state in FINISHED)

    @invariant()
    def somebody_will_move_it(self) -> None:
        job = self.job
        by_a_worker = job.state == RENDERING or job.line_key is not None
        assert job.finished or by_a_worker or job.look_time is not None
        assert job.look_time is None or not job.finished

    @invariant()
    def attempts_are_bounded_and_never_more_than_were_begun(self) -> None:
        assert self.job.attempts + self.job.interruptions <= self.begun
        assert self.job.attempts <= MAX_ATTEMPTS
        assert self.job.interruptions <= MAX_INTERRUPTIONS


AnyInterleaving.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_any_interleaving_ends_in_one_state_with_one_event = AnyInterleaving.TestCase
