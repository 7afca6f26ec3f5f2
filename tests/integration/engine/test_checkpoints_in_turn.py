"""Checkpoints that find no room together are drawn with one after another, and none is refused."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from tests.integration.engine.asking import answered
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import Case

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]


@pytest.fixture
def spare(home: Path) -> Iterator[list[str]]:
    names = ["turn-1", "turn-2", "turn-3", "turn-4"]
    for name in names:
        shutil.copytree(home / "models" / "sdxl-tiny", home / "models" / name)
    yield names
    for name in names:
        shutil.rmtree(home / "models" / name)


async def test_more_checkpoints_than_find_room_are_all_drawn_with(
    batching_client: TritonClient, expected_in_batches: Expected, spare: list[str]
) -> None:
    """There is room for two."""
    answers = await asyncio.gather(
        *(answered(batching_client, Case({"checkpoint": name}), f"{name}-{n}") for n in range(3) for name in spare)
    )
    expected = expected_in_batches("plain")
    assert [each.sha256 for each in answers] == [expected] * len(answers)
