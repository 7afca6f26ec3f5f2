"""What the settings make of the worker and its renderer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from continuity.hosting.platform import open_platform
from continuity.kernel.errors import InvalidValue
from services.rendering.bootstrap import COLLECTIONS, bootstrap
from services.rendering.settings import Settings


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
