"""What operators are told of jobs that nobody here may draw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.rendering.domain.job import READY, SUCCEEDED, WAITING
from services.rendering.handlers.others_jobs import OthersJobs
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.fakes import InMemoryJobs


async def test_it_is_told_once_how_many_jobs_wait_for_another_renderer(caplog: pytest.LogCaptureFixture) -> None:
    states = (READY, WAITING, SUCCEEDED)
    others = [replace(job_in(state, shot(place)), renderer="sdxl") for place, state in enumerate(states, 1)]
    jobs = InMemoryJobs(*others, replace(job_in(READY, shot(7)), renderer="previz"), job_in(READY, shot(8)))
    jobs.renderer = "previz"
    look = OthersJobs(jobs, "previz")
    await look()
    await look()
    assert caplog.messages == ["2 jobs wait: they were accepted for another renderer than previz"]
    jobs.stored[PROJECT, others[0].id] = replace(others[0], state=SUCCEEDED)
    await look()
    assert len(caplog.messages) == 2


async def test_where_everything_can_be_drawn_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    await OthersJobs(InMemoryJobs(job_in(READY)), "previz")()
    assert not caplog.messages
