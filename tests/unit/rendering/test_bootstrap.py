"""What the settings make of the worker and its renderer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from continuity.hosting.platform import open_platform
from continuity.kernel.errors import InvalidValue
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.bootstrap import COLLECTIONS, bootstrap
from services.rendering.domain.job import READY, Job, handed_over
from services.rendering.entrypoints.mapping import CODEC
from services.rendering.settings import Settings
from tests.unit.rendering.builders import PROJECT, job_in


@pytest.mark.parametrize(
    ("given", "renderer", "slots", "urgent_slots"),
    [
        ({}, "previz ", 2, 0),
        ({"renderer": "sdxl-tiny"}, "sdxl ", 2, 1),
        ({"renderer": "sdxl", "checkpoint": "mine"}, "sdxl ", 2, 1),
    ],
    ids=str,
)
async def test_the_worker_takes_what_its_renderer_draws_together_and_urgent_jobs_beside(
    tmp_path: Path, given: dict[str, Any], renderer: str, slots: int, urgent_slots: int
) -> None:
    settings = Settings(home=tmp_path, **given)
    platform = await open_platform(settings, COLLECTIONS, broker_forgets=True)
    hosted = await bootstrap(settings, platform)
    try:
        worker: Any = getattr(hosted.background["worker"], "__self__")  # noqa: B009  a method that is wired in
        assert worker.renderer.name.startswith(renderer)
        assert (worker.slots, worker.urgent_slots) == (slots, urgent_slots)
    finally:
        assert hosted.close
        await hosted.close()
        await platform.close()


async def test_a_service_whose_settings_no_shot_could_be_drawn_with_does_not_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, renderer="sdxl", sampler="eular")
    platform = await open_platform(settings, COLLECTIONS, broker_forgets=True)
    try:
        with pytest.raises(InvalidValue, match="CONTINUITY_SAMPLER: 'eular' is not acceptable; did you mean 'euler'"):
            await bootstrap(settings, platform)
    finally:
        await platform.close()


async def test_jobs_that_wait_for_another_renderer_are_no_work_for_this_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    platform = await open_platform(settings, COLLECTIONS, broker_forgets=True)
    hosted = await bootstrap(settings, platform)
    nobody: Any = Mock(owner="nobody")
    jobs = StoredJobs(Aggregates(Job, JOBS, platform.documents, CODEC, nobody))
    try:
        assert hosted.idle
        assert hosted.close
        await jobs.add_each(PROJECT, [Change(replace(job_in(READY), renderer="sdxl"))])
        assert await hosted.idle()
        await jobs.change(PROJECT, job_in(READY).id, lambda job: handed_over(job, "previz", 200.0))
        assert not await hosted.idle()
        await hosted.close()
    finally:
        await platform.close()
