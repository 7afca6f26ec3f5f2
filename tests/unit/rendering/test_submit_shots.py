from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from continuity.kernel.errors import InvalidValue
from services.rendering.domain.cast import CastEntry
from services.rendering.domain.errors import QueueFull, RequestReused
from services.rendering.domain.events import RenderRequested
from services.rendering.domain.job import READY, REQUESTED, WAITING, Job
from services.rendering.domain.render_options import RenderOptions
from services.rendering.domain.submission import Submission
from services.rendering.handlers.admission import Admission
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.submit_shots import ShotsAsked, SubmitShots
from tests.unit.rendering.builders import PAD, PROJECT, WARD, leased, shot
from tests.unit.rendering.fakes import InMemoryCast, InMemoryJobs, InMemoryQueues, InMemorySubmissions, SetClock

ASKED = ShotsAsked("take-1", "Pad Nine", (shot(2), shot(1)), seed=5, priority=0, width_px=0, height_px=0)


class Service:
    def __init__(self, *cast: CastEntry, max_unfinished: int = 10_000, renderer: str | None = None) -> None:
        self.jobs = InMemoryJobs()
        self.submissions = InMemorySubmissions()
        self.cast = InMemoryCast(*cast)
        self.clock = SetClock()
        self.freeze = FreezeCast(self.cast, self.jobs, self.clock)
        self.queues = InMemoryQueues()
        queue = FairQueue(self.queues, self.jobs, self.submissions, self.clock)
        admission = Admission(self.jobs, max_unfinished, self.clock.now)
        self.refusal: InvalidValue | None = None
        self.submit = SubmitShots(
            self.submissions,
            self.jobs,
            self.freeze,
            queue,
            admission,
            self.clock,
            self.accept_options,
            renderer=renderer,
        )

    async def accept_options(self, _project: str, _submission: Submission) -> None:
        if self.refusal:
            raise self.refusal

    async def take(self, project: str, asked: ShotsAsked) -> tuple[Submission, list[Job]]:
        """Submit, and wait for what the caller need not wait for."""
        answer = await self.submit(project, asked)
        await asyncio.gather(*self.submit.notes)
        return answer


async def test_every_shot_becomes_one_job_in_the_order_of_the_shots():
    submission, jobs = await Service().take(PROJECT, ASKED)
    assert [job.shot.shot_number for job in jobs] == [2, 1]
    assert [job.submission_id for job in jobs] == [submission.id] * 2
    assert [(job.width_px, job.height_px) for job in jobs] == [(1024, 576)] * 2


async def test_shots_with_their_cast_at_hand_are_requested_at_once():
    service = Service(WARD, PAD)
    _, jobs = await service.take(PROJECT, replace(ASKED, shots=(shot(character_ids=("ward",), location_id="pad"),)))
    assert [job.state for job in jobs] == [REQUESTED]
    assert [type(event) for event in service.jobs.events] == [RenderRequested]


@pytest.mark.parametrize(
    ("cast", "missing"),
    [((), "ward"), ((WARD,), "pad"), ((replace(WARD, deleted=True), PAD), "ward")],
    ids=["nobody", "no-location", "deleted"],
)
async def test_shots_without_their_cast_wait_for_the_first_who_is_missing(cast, missing):
    service = Service(*cast)
    _, jobs = await service.take(PROJECT, replace(ASKED, shots=(shot(character_ids=("ward",), location_id="pad"),)))
    assert [(job.state, job.waiting_for) for job in jobs] == [(WAITING, missing)]
    assert not service.jobs.events


async def test_the_same_request_again_returns_the_same_jobs():
    service = Service()
    first, jobs = await service.take(PROJECT, ASKED)
    service.clock.seconds += 60
    again, same = await service.take(PROJECT, ASKED)
    assert (again.id, again.create_time) == (first.id, first.create_time)
    assert same == jobs
    assert len(service.jobs.events) == len(jobs)


async def test_a_request_id_with_other_content_is_refused():
    service = Service()
    await service.take(PROJECT, ASKED)
    with pytest.raises(RequestReused, match="take-1"):
        await service.take(PROJECT, replace(ASKED, seed=6))
    assert len(service.jobs.stored) == 2


async def test_the_same_request_id_in_another_project_is_another_submission():
    service = Service()
    first, _ = await service.take(PROJECT, ASKED)
    other, _ = await service.take("other", ASKED)
    assert first.id != other.id


async def test_without_a_request_id_every_call_is_a_new_submission():
    service = Service()
    first, _ = await service.take(PROJECT, replace(ASKED, request_id=""))
    other, _ = await service.take(PROJECT, replace(ASKED, request_id=""))
    assert first.id != other.id
    assert len(service.jobs.stored) == 4


async def test_duplicate_shots_are_refused_and_nothing_is_kept():
    service = Service()
    with pytest.raises(InvalidValue):
        await service.take(PROJECT, replace(ASKED, shots=(shot(1), shot(1))))
    assert not service.submissions.stored
    assert not service.jobs.stored


async def test_a_fan_out_that_was_cut_off_is_finished_by_the_next_without_touching_what_is_there():
    service = Service()
    submission, jobs = await service.take(PROJECT, ASKED)
    service.submissions.stored[PROJECT, submission.id] = replace(submission, fanned_out=False)
    del service.jobs.stored[PROJECT, jobs[1].id]
    service.jobs.stored[PROJECT, jobs[0].id] = replace(jobs[0], attempts=2)
    await service.take(PROJECT, ASKED)
    assert [job.attempts for job in await service.jobs.several(PROJECT, [job.id for job in jobs])] == [2, 0]
    assert (await service.submissions.find(PROJECT, submission.id)).fanned_out


async def test_a_fan_out_of_many_shots_makes_each_of_them_once():
    service = Service()
    shots = tuple(shot(number) for number in range(1, 251))
    _, jobs = await service.take(PROJECT, replace(ASKED, shots=shots))
    assert [job.shot.shot_number for job in jobs] == list(range(1, 251))


async def test_who_becomes_ready_between_the_look_and_the_write_is_not_waited_for():
    service = Service()
    service.jobs.before_change = lambda: service.freeze.learn(PROJECT, WARD)
    _, jobs = await service.take(PROJECT, replace(ASKED, shots=(shot(character_ids=("ward",)),)))
    assert [(job.state, job.characters) for job in jobs] == [(REQUESTED, (WARD.content,))]


async def test_a_full_service_refuses_new_shots_and_keeps_what_it_accepted():
    service = Service(max_unfinished=4)
    submission, jobs = await service.take(PROJECT, ASKED)
    with pytest.raises(QueueFull):
        await service.take(PROJECT, replace(ASKED, request_id="take-2"))
    assert len(service.submissions.stored) == 1
    again, same = await service.take(PROJECT, ASKED)
    assert (again.id, same) == (submission.id, jobs)


async def test_shots_stand_in_line_behind_those_of_the_same_project_and_beside_those_of_another():
    service = Service()
    _, first = await service.take(PROJECT, ASKED)
    _, second = await service.take(PROJECT, replace(ASKED, request_id="take-2"))
    _, others = await service.take("other", ASKED)
    keys = [job.queue_key for job in (*first, *second)]
    assert keys == sorted(set(keys))
    assert [job.queue_key for job in others] == [job.queue_key for job in first]


async def test_jobs_expire_when_their_submission_says():
    service = Service()
    _, jobs = await service.take(PROJECT, replace(ASKED, time_to_live=90.0))
    assert {job.expire_time for job in jobs} == {service.clock.now() + 90.0}


async def test_a_time_to_live_is_content():
    service = Service()
    await service.take(PROJECT, ASKED)
    with pytest.raises(RequestReused):
        await service.take(PROJECT, replace(ASKED, time_to_live=90.0))


async def test_the_cast_of_many_shots_is_looked_up_once():
    service = Service(WARD)
    shots = tuple(shot(number, character_ids=("ward",)) for number in range(1, 251))
    await service.take(PROJECT, replace(ASKED, shots=shots))
    assert service.cast.looked_up <= 100  # those of the first batch look side by side


async def test_options_that_nothing_can_be_drawn_with_are_refused_and_nothing_is_kept():
    service = Service()
    service.refusal = InvalidValue("options.sampler", "eular", "did you mean 'euler'?")
    with pytest.raises(InvalidValue):
        await service.take(PROJECT, ASKED)
    assert not service.submissions.stored
    assert not service.jobs.stored


async def test_what_was_accepted_is_told_again_whatever_would_be_refused_now():
    service = Service()
    _, jobs = await service.take(PROJECT, ASKED)
    service.refusal = InvalidValue("options.sampler", "eular", "did you mean 'euler'?")
    assert (await service.take(PROJECT, ASKED))[1] == jobs


async def test_options_and_whether_a_film_is_commercial_are_content_and_reach_the_jobs():
    service = Service()
    _, jobs = await service.take(PROJECT, replace(ASKED, options=RenderOptions(steps=8), commercial=True))
    assert all((job.shot.options, job.commercial) == (RenderOptions(steps=8), True) for job in jobs)
    for other in (ASKED, replace(ASKED, options=RenderOptions(steps=8))):
        with pytest.raises(RequestReused):
            await service.take(PROJECT, other)


async def test_jobs_keep_the_renderer_of_the_service_that_accepted_them():
    submission, jobs = await Service(renderer="sdxl").take(PROJECT, ASKED)
    assert {submission.renderer, *(job.renderer for job in jobs)} == {"sdxl"}


async def test_asked_for_again_where_another_renderer_draws_what_has_not_begun_is_drawn_by_that_one():
    service = Service(renderer="sdxl")
    submission, jobs = await service.take(PROJECT, ASKED)
    service.jobs.stored[PROJECT, jobs[0].id] = begun = leased(replace(jobs[0], state=READY))
    service.submit = replace(service.submit, renderer="previz")
    again, same = await service.take(PROJECT, ASKED)
    assert again.id == submission.id
    assert [job.renderer for job in same] == ["sdxl", "previz"]
    assert service.jobs.stored[PROJECT, jobs[0].id] == begun
    assert service.jobs.stored[PROJECT, jobs[1].id] == same[1]


async def test_another_renderer_takes_over_nothing_that_it_cannot_draw():
    service = Service(renderer="sdxl")
    _, jobs = await service.take(PROJECT, ASKED)
    service.submit = replace(service.submit, renderer="previz")
    service.refusal = InvalidValue("options.sampler", "x", "one that there is")
    with pytest.raises(InvalidValue):
        await service.take(PROJECT, ASKED)
    assert [service.jobs.stored[PROJECT, job.id] for job in jobs] == jobs


@pytest.mark.parametrize("renderer", ["sdxl", None], ids=str)
async def test_asked_for_again_nothing_changes_where_the_same_renderer_draws_or_any_may(renderer):
    service = Service(renderer=renderer)
    _, jobs = await service.take(PROJECT, ASKED)
    service.clock.seconds += 60
    service.submit = replace(service.submit, renderer="sdxl")
    assert (await service.take(PROJECT, ASKED))[1] == jobs
